#!/usr/bin/env python3
"""Twin of examples/pyzmq_sender.rs: send_json, and the array recipe of PyZMQ's documentation.

    python pyzmq_sender.py [ADDRESS]
"""

import sys

import numpy as np
import zmq

import cortex_peer as peer

ADDRESS = "ipc:///tmp/cortex/pyzmq.sock"


def send_array(socket, array, flags=0, copy=True, track=False):
    """PyZMQ's recipe: dtype and shape as JSON, then the array's memory."""
    head = dict(dtype=str(array.dtype), shape=array.shape)
    socket.send_json(head, flags | zmq.SNDMORE)
    return socket.send(array, flags, copy=copy, track=track)


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else ADDRESS
    ending = peer.Ending()
    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    peer.make_folder(address)
    socket.bind(address)
    print(f"sending at {address}", flush=True)
    samples = np.arange(12, dtype=np.float32).reshape(3, 4)
    pixels = (np.arange(480 * 640) % 251).astype(np.uint8).reshape(480, 640)
    number = 0
    while not ending.wait(0.1):
        state = {"number": number, "pose": {"x": 0.5, "frame": "map"}, "on": [True, None]}
        socket.send_string("json", zmq.SNDMORE)
        socket.send_json(state)
        socket.send_string("array/copy", zmq.SNDMORE)
        send_array(socket, samples)
        socket.send_string("array/nocopy", zmq.SNDMORE)
        send_array(socket, pixels, copy=False)
        number += 1
    socket.close(linger=0)
    context.term()
    peer.remove_socket_file(address)


if __name__ == "__main__":
    peer.run(main)
