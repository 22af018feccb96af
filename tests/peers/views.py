#!/usr/bin/env python3
"""Twin of examples/views.rs: which operations copy, by the addresses of the bytes.

    python views.py
"""

import numpy as np
import zmq


def place(data):
    """Where the bytes begin and end."""
    array = np.frombuffer(data, dtype=np.uint8) if not isinstance(data, np.ndarray) else data
    return np.lib.array_utils.byte_bounds(array) if hasattr(np.lib, "array_utils") else np.byte_bounds(array)


def row(what, whole, part):
    """Print whether `part` lies within `whole`."""
    (start, end), (first, last) = place(whole), place(part)
    print(f"{what:<34} {'no copy' if start <= first and last <= end else 'copy'}", flush=True)


def main():
    context = zmq.Context()
    sender, receiver = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    sender.bind("inproc://views")
    receiver.connect("inproc://views")

    pixels = np.full((480, 640), 7, dtype=np.uint8)
    row("memoryview(array)", pixels, memoryview(pixels).cast("B"))
    row("array.tobytes()", pixels, pixels.tobytes())
    row("ascontiguousarray(array)", pixels, np.ascontiguousarray(pixels))
    row("ascontiguousarray(array[:, ::2])", pixels, np.ascontiguousarray(pixels[:, ::2]))
    # Without a network in between the receiver sees the very memory that was sent.
    sender.send(pixels, copy=False)
    frame = receiver.recv(copy=False)
    row("send(copy=False)", pixels, frame.buffer)
    sender.send(pixels, copy=True)
    row("send(copy=True)", pixels, receiver.recv(copy=False).buffer)

    row("frame.buffer", frame.buffer, memoryview(frame.buffer))
    row("frame.bytes", frame.buffer, frame.bytes)
    view = memoryview(frame.buffer)
    row("memoryview[640:1280]", view, view[640:1280])
    row("bytes(memoryview)", view, bytes(view))
    data = frame.bytes
    row("bytes[640:1280]", data, data[640:1280])
    array = np.frombuffer(view, dtype=np.uint8)
    row("numpy.frombuffer", view, array)
    row("array.reshape", view, array.reshape(480, 640))
    row("array[640:1280]", view, array[640:1280])
    row("array.copy()", view, array.copy())
    row("array.astype(float)", view, array.astype(float))
    sender.close(linger=0)
    receiver.close(linger=0)
    context.term()


if __name__ == "__main__":
    main()
