#!/usr/bin/env python3
"""Twin of examples/pickle_sender.rs: send_pyobj, and the zipped pickle of PyZMQ's documentation.

With `--code` it also sends a pickle that a reader must refuse, since it runs code where it is read.

    python pickle_sender.py [ADDRESS] [--code]
"""

import pickle
import sys
import zlib

import zmq

import cortex_peer as peer

ADDRESS = "ipc:///tmp/cortex/pickle.sock"


class Code:
    """Its pickle prints where it is read; it might as well delete."""

    def __reduce__(self):
        return print, ("this pickle ran code",)


def send_zipped_pickle(socket, obj, flags=0, protocol=-1):
    """PyZMQ's recipe."""
    return socket.send(zlib.compress(pickle.dumps(obj, protocol)), flags=flags)


def main():
    addresses = [argument for argument in sys.argv[1:] if argument != "--code"]
    address = addresses[0] if addresses else ADDRESS
    ending = peer.Ending()
    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    peer.make_folder(address)
    socket.bind(address)
    print(f"sending at {address}", flush=True)
    number = 0
    while not ending.wait(0.1):
        state = {"joints": [0.5, -1.25], "name": "arm", "number": number, "on": None}
        socket.send_string("pyobj", zmq.SNDMORE)
        socket.send_pyobj(state)
        socket.send_string("zipped", zmq.SNDMORE)
        send_zipped_pickle(socket, [state, {"name": "arm", "big": 1 << 40, "text": "x" * 300}])
        if "--code" in sys.argv:
            socket.send_string("pyobj/code", zmq.SNDMORE)
            socket.send_pyobj({"name": Code()})
        number += 1
    socket.close(linger=0)
    context.term()
    peer.remove_socket_file(address)


if __name__ == "__main__":
    peer.run(main)
