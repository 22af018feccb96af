#!/usr/bin/env python3
"""Twin of examples/archive_read.rs: reads a file of values and messages.

    python archive_read.py [FILE]
"""

import json
import sys

import numpy as np

import cortex_peer as peer
from archive_write import fingerprint

FIELDS = {f"{peer.MODULE}.{name}": fields for name, fields in peer.STANDARD.items()}
FIELDS["robot.msgs.Battery"] = ["volts", "cells", "name"]
TYPES = {fingerprint(name): name for name in FIELDS}


def text(value):
    if value is None:
        return "nil"
    if isinstance(value, np.ndarray):
        data = ", ".join(f"{byte:02x}" for byte in value.tobytes())
        return f"{value.dtype.str} {list(value.shape)} [{data}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {text(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else "cortex.archive"
    with open(path, "rb") as file:
        rest = file.read()
    while rest:
        value, length = peer.decode_value(rest)
        rest = rest[length:]
        if not isinstance(value, bytes):
            print("value", text(value))
            continue
        found, timestamp_ns, sequence = peer.HEADER.unpack(value[: peer.HEADER.size])
        name = TYPES.get(found)
        if name is None:
            print(f"message of unknown type {found:#018x}")
            continue
        print(f"message {name} sequence={sequence} at {timestamp_ns}")
        fields, _ = peer.decode_value(value[peer.HEADER.size :])
        for field, item in zip(FIELDS[name], fields):
            print(f"  {field} = {text(item)}")


if __name__ == "__main__":
    peer.run(main)
