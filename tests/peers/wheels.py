#!/usr/bin/env python3
"""The other side of examples/odometry.rs: publishes a robot.msgs.WheelState, prints the odometry.

    CORTEX_DISCOVERY=ipc:///tmp/cortex/discovery.sock python wheels.py
"""

import os
import time

import numpy as np
import zmq

import cortex_peer as peer
from archive_write import fingerprint

WHEELS = "/wheels"
ODOMETRY = "/odometry"


def connect(context, client, topic):
    """A socket that is subscribed to `topic`, or None while it has no publisher."""
    response = client.request(peer.LOOKUP, topic_name=topic)
    if response["status"] != peer.OK:
        return None
    socket = context.socket(zmq.SUB)
    socket.linger = 0
    socket.connect(response["topic_info"]["address"])
    socket.subscribe(topic)
    return socket


def main():
    discovery = os.environ.get("CORTEX_DISCOVERY", peer.DEFAULT_DISCOVERY)
    folder = os.path.dirname(discovery.removeprefix("ipc://"))
    address = f"ipc://{folder}/topics/wheels__wheels.sock"
    info = {
        "name": WHEELS,
        "address": address,
        "message_type": "WheelState",
        "fingerprint": fingerprint("robot.msgs.WheelState"),
        "publisher_node": "wheels",
    }
    ending = peer.Ending()
    context = zmq.Context()
    wheels = context.socket(zmq.PUB)
    peer.make_folder(address)
    wheels.bind(address)
    client = peer.DiscoveryClient(context, discovery)
    client.request(peer.REGISTER, topic_info=info)
    print(f"publishing {WHEELS} at {address}", flush=True)
    odometry = None
    sequence = 0
    while not ending.wait(0.05):
        header = peer.HEADER.pack(info["fingerprint"], time.time_ns(), sequence)
        values = [np.array([1.0, 1.5, 0.5, 1.0]), 0.25, "base"]
        wheels.send_multipart([WHEELS.encode(), header, *peer.encode_fields(values)])
        sequence += 1
        odometry = odometry or connect(context, client, ODOMETRY)
        while odometry and odometry.poll(0):
            _, _, (distance,) = peer.decode_message("FloatMessage", odometry.recv_multipart()[1:])
            print(f"distance={distance}", flush=True)
    client.request(peer.UNREGISTER, topic_name=WHEELS)
    client.close()
    wheels.close(linger=0)
    if odometry:
        odometry.close()
    context.term()
    peer.remove_socket_file(address)


if __name__ == "__main__":
    peer.run(main)
