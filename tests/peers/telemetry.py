#!/usr/bin/env python3
"""Twin of examples/telemetry.rs: FlatBuffers on `telemetry/arm`.

    python telemetry.py [ADDRESS]
"""

import sys
import time

import flatbuffers
import zmq

import cortex_peer as peer

ADDRESS = "ipc:///tmp/cortex/telemetry.sock"


def build(seq, ts, temp, msg):
    """What `flatc --python` makes of examples/telemetry.fbs, for writing."""
    builder = flatbuffers.Builder(64)
    msg = builder.CreateString(msg)
    builder.StartObject(4)
    builder.PrependUint32Slot(0, seq, 0)
    builder.PrependFloat64Slot(1, ts, 0.0)
    builder.PrependFloat32Slot(2, temp, 0.0)
    builder.PrependUOffsetTRelativeSlot(3, msg, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else ADDRESS
    ending = peer.Ending()
    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    peer.make_folder(address)
    socket.bind(address)
    print(f"sending at {address}", flush=True)
    seq = 0
    while not ending.wait(0.1):
        buffer = build(seq, time.time(), 36.5 + seq % 4 * 0.25, "fine")
        socket.send_multipart([b"telemetry/arm", buffer])
        socket.send_multipart([b"log/arm", b"a line of text"])
        seq += 1
    socket.close(linger=0)
    context.term()
    peer.remove_socket_file(address)


if __name__ == "__main__":
    peer.run(main)
