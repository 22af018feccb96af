#!/usr/bin/env python3
"""Twin of examples/perception_receiver.rs: a dictionary of dictionaries of arrays, and a tensor.

Makes a torch tensor where torch is installed.

    CORTEX_DISCOVERY=ipc:///tmp/cortex/discovery.sock python perception_receiver.py
"""

import os

import zmq

import cortex_peer as peer
from archive_write import fingerprint

try:
    import torch
except ImportError:
    torch = None

TOPIC = "/perception"


def text(array):
    return f"{array.dtype.str} {list(array.shape)} sum={array.sum(dtype=float):.1f}"


def gradient(tensor):
    """Whether the tensor keeps gradients, as torch sees it where it is there."""
    if torch is None:
        return tensor.requires_grad
    value = torch.from_numpy(tensor.array.copy())
    if tensor.device.startswith("cuda") and torch.cuda.is_available():
        value = value.to(tensor.device)
    return value.requires_grad_(tensor.requires_grad).requires_grad


def find(client, ending):
    """The publisher's address; None when the end comes first."""
    while not ending.wait(0.05):
        try:
            response = client.request(peer.LOOKUP, topic_name=TOPIC)
        except peer.DiscoveryError:
            continue
        if response["status"] == peer.OK:
            return response["topic_info"]["address"]
    return None


def main():
    discovery = os.environ.get("CORTEX_DISCOVERY", peer.DEFAULT_DISCOVERY)
    ending = peer.Ending()
    context = zmq.Context()
    client = peer.DiscoveryClient(context, discovery, timeout=1.0)
    socket = context.socket(zmq.SUB)
    print(f"waiting for {TOPIC}", flush=True)
    if address := find(client, ending):
        socket.connect(address)
        socket.subscribe(TOPIC)
        while not ending.before(socket, None):
            _, header, metadata, *buffers = socket.recv_multipart()
            found, _, sequence = peer.HEADER.unpack(header)
            if found != fingerprint("robot.msgs.Perception"):
                raise ValueError(f"fingerprint {found:#018x}")
            scene, objects, features = peer.decode_fields(metadata, buffers)
            about = f"{text(features.array)} on {features.device}, gradient: {str(gradient(features)).lower()}"
            print(f"[{sequence}] {scene}: {about}", flush=True)
            for name, parts in objects.items():
                for part, array in parts.items():
                    print(f"  {name}.{part}: {text(array)}", flush=True)
    client.close()
    socket.close(linger=0)
    context.term()


if __name__ == "__main__":
    peer.run(main)
