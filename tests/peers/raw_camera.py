#!/usr/bin/env python3
"""Twin of examples/raw_camera.rs: [cam/left]["<I" frame_id][240 x 320 bytes].

    python raw_camera.py [ADDRESS]
"""

import struct
import sys

import numpy as np
import zmq

import cortex_peer as peer

ADDRESS = "ipc:///tmp/cortex/raw_camera.sock"


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else ADDRESS
    ending = peer.Ending()
    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    peer.make_folder(address)
    socket.bind(address)
    print(f"sending at {address}", flush=True)
    frame_id = 0
    while not ending.wait(0.1):
        pixels = np.full((240, 320), frame_id % 256, dtype=np.uint8)
        socket.send_multipart([b"cam/left", struct.pack("<I", frame_id), pixels], copy=False)
        frame_id += 1
    socket.close(linger=0)
    context.term()
    peer.remove_socket_file(address)


if __name__ == "__main__":
    peer.run(main)
