#!/usr/bin/env python3
"""Twin of examples/dashboard.rs: FlatBuffers below `telemetry/`, raw images below `cam/`.

    python dashboard.py [ADDRESS ADDRESS]
"""

import struct
import sys

import flatbuffers
import flatbuffers.table
import numpy as np
import zmq
from flatbuffers.number_types import Float32Flags, Float64Flags, Uint32Flags, UOffsetTFlags

import cortex_peer as peer

ADDRESSES = ["ipc:///tmp/cortex/telemetry.sock", "ipc:///tmp/cortex/raw_camera.sock"]


class Telemetry:
    """What `flatc --python` makes of examples/telemetry.fbs, for reading."""

    def __init__(self, buffer):
        root = flatbuffers.encode.Get(UOffsetTFlags.packer_type, buffer, 0)
        self.table = flatbuffers.table.Table(buffer, root)

    def number(self, slot, flags):
        offset = self.table.Offset(slot)
        return self.table.Get(flags, offset + self.table.Pos) if offset else flags.py_type(0)

    def text(self, slot):
        offset = self.table.Offset(slot)
        return self.table.String(offset + self.table.Pos).decode() if offset else ""

    def __str__(self):
        seq = self.number(4, Uint32Flags)
        ts, temp = self.number(6, Float64Flags), self.number(8, Float32Flags)
        return f"seq={seq} ts={ts:.3f} temp={temp:g} msg={self.text(10)}"


def main():
    addresses = sys.argv[1:] or ADDRESSES
    ending = peer.Ending()
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    for address in addresses:
        socket.connect(address)
    socket.subscribe("telemetry/")
    socket.subscribe("cam/")
    print(f"waiting for {' and '.join(addresses)}", flush=True)
    while not ending.before(socket, None):
        topic, *frames = socket.recv_multipart()
        if topic.startswith(b"cam/"):
            (frame_id,) = struct.unpack("<I", frames[0])
            pixels = np.frombuffer(frames[1], dtype=np.uint8).reshape(240, 320)
            text = f"frame_id={frame_id} mean={pixels.mean():.1f}"
        else:
            text = Telemetry(frames[0])
        print(topic.decode(), text, flush=True)
    socket.close(linger=0)
    context.term()


if __name__ == "__main__":
    peer.run(main)
