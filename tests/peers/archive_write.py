#!/usr/bin/env python3
"""Twin of examples/archive_write.rs: keeps values and whole messages in a file.

    python archive_write.py [FILE]
"""

import hashlib
import sys

import numpy as np

import cortex_peer as peer


def fingerprint(name):
    text = f"{name}|_field_names_cache:ClassVar,_sequence_counter:ClassVar"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def blob(name, values, timestamp_ns, sequence):
    """A message in one piece: header and tagged list of fields."""
    return peer.HEADER.pack(fingerprint(name), timestamp_ns, sequence) + peer.encode_value(values)


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "cortex.archive"
    joints = np.array([0.5, -1.25, 3.0])
    values = [None, -7, 2.5, "text", {"frame": "map", "joints": joints}]
    pixels = np.array([[10, 20, 30], [40, 50, 60]], dtype=np.uint8)
    image = blob("cortex.messages.standard.ImageMessage", [pixels, "mono8", 3, 2], 1_700_000_000_000_000_000, 41)
    cells = np.array([4.1, 4.0], dtype=np.float32)
    battery = blob("robot.msgs.Battery", [8.1, cells, "left"], 1_700_000_000_500_000_000, 42)
    with open(path, "wb") as file:
        for value in [*values, image, battery]:
            file.write(peer.encode_value(value))
    print(f"wrote {path}", flush=True)


if __name__ == "__main__":
    peer.run(main)
