#!/usr/bin/env python3
"""Twin of examples/perception_sender.rs: a dictionary of dictionaries of arrays, and a tensor.

Takes torch where it is installed, and a stand-in with the same bytes otherwise.

    CORTEX_DISCOVERY=ipc:///tmp/cortex/discovery.sock python perception_sender.py
"""

import os
import time

import numpy as np
import zmq

import cortex_peer as peer
from archive_write import fingerprint

try:
    import torch
except ImportError:
    torch = None

TOPIC = "/perception"


def tensor():
    """Half in each place, on the CPU, with gradients."""
    if torch is None:
        return peer.Tensor(np.full((1, 6), 0.5, dtype=np.float32), "cpu", True)
    value = torch.full((1, 6), 0.5, requires_grad=True)
    return peer.Tensor(value.detach().cpu().numpy(), str(value.device), value.requires_grad)


def main():
    discovery = os.environ.get("CORTEX_DISCOVERY", peer.DEFAULT_DISCOVERY)
    folder = os.path.dirname(discovery.removeprefix("ipc://"))
    address = f"ipc://{folder}/topics/perception__perception.sock"
    info = {
        "name": TOPIC,
        "address": address,
        "message_type": "Perception",
        "fingerprint": fingerprint("robot.msgs.Perception"),
        "publisher_node": "perception",
    }
    ending = peer.Ending()
    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    peer.make_folder(address)
    socket.bind(address)
    client = peer.DiscoveryClient(context, discovery)
    client.request(peer.REGISTER, topic_info=info)
    print(f"publishing {TOPIC} at {address}", flush=True)
    corners = np.array([1, 2, 3, 4], dtype=np.float32)
    mask = np.array([[0, 1, 1], [0, 1, 0]], dtype=np.uint8)
    objects = {"cup": {"box": corners, "mask": mask}, "table": {"box": corners}}
    sequence = 0
    while not ending.wait(0.1):
        header = peer.HEADER.pack(info["fingerprint"], time.time_ns(), sequence)
        frames = peer.encode_fields(["kitchen", objects, tensor()])
        socket.send_multipart([TOPIC.encode(), header, *frames])
        sequence += 1
    client.request(peer.UNREGISTER, topic_name=TOPIC)
    client.close()
    socket.close(linger=0)
    context.term()
    peer.remove_socket_file(address)


if __name__ == "__main__":
    peer.run(main)
