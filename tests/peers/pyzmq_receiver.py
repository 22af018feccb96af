#!/usr/bin/env python3
"""Twin of examples/pyzmq_receiver.rs: recv_json, and the array recipe of PyZMQ's documentation.

    python pyzmq_receiver.py [ADDRESS]
"""

import json
import sys

import numpy as np
import zmq

import cortex_peer as peer

ADDRESS = "ipc:///tmp/cortex/pyzmq.sock"


def recv_array(socket, flags=0, copy=True, track=False):
    """PyZMQ's recipe: dtype and shape as JSON, then the array's memory."""
    head = socket.recv_json(flags=flags)
    message = socket.recv(flags=flags, copy=copy, track=track)
    array = np.frombuffer(message, dtype=head["dtype"])
    return array.reshape(head["shape"])


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else ADDRESS
    ending = peer.Ending()
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.connect(address)
    socket.subscribe("json")
    socket.subscribe("array/")
    print(f"waiting for {address}", flush=True)
    while not ending.before(socket, None):
        topic = socket.recv_string()
        if topic == "json":
            print(topic, json.dumps(socket.recv_json(), separators=(",", ":")), flush=True)
        else:
            array = recv_array(socket, copy=topic == "array/copy")
            print(f"{topic} {array.dtype} {list(array.shape)} sum={array.sum(dtype=float):.1f}", flush=True)
    socket.close(linger=0)
    context.term()


if __name__ == "__main__":
    peer.run(main)
