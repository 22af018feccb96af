#!/usr/bin/env python3
"""Twin of examples/pickle_receiver.rs: recv_pyobj, and the zipped pickle of PyZMQ's documentation.

Reading a pickle may run anything: only from senders that are trusted.

    python pickle_receiver.py [ADDRESS]
"""

import json
import pickle
import sys
import zlib

import zmq

import cortex_peer as peer

ADDRESS = "ipc:///tmp/cortex/pickle.sock"


def recv_zipped_pickle(socket, flags=0):
    """PyZMQ's recipe."""
    return pickle.loads(zlib.decompress(socket.recv(flags)))


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else ADDRESS
    ending = peer.Ending()
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    socket.connect(address)
    socket.subscribe("pyobj")
    socket.subscribe("zipped")
    print(f"waiting for {address}", flush=True)
    while not ending.before(socket, None):
        topic = socket.recv_string()
        value = socket.recv_pyobj() if topic == "pyobj" else recv_zipped_pickle(socket)
        print(topic, json.dumps(value, separators=(",", ":")), flush=True)
    socket.close(linger=0)
    context.term()


if __name__ == "__main__":
    peer.run(main)
