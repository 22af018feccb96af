#!/usr/bin/env python3
"""Makes the kept corpus, most of it from the golden vectors: python3 tests/fuzz/seeds.py

Small ones only: what is large is made of the same parts.
"""

import json
import pathlib
import struct
import zlib

HERE = pathlib.Path(__file__).parent
LIMIT = 600


def cases(name):
    return json.loads((HERE.parent / "golden" / name).read_text())["cases"]


def keep(target, name, data):
    if len(data) <= LIMIT:
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


seen = {}
for case in cases("messages.json"):
    header, metadata, *buffers = map(bytes.fromhex, case["frames"])
    # As `Input` in src/lib.rs cuts it.
    lens = b"".join(len(buffer).to_bytes(2, "big") for buffer in buffers if len(buffer) < 1 << 16)
    if len(lens) != 2 * len(buffers) or len(buffers) > 4:
        continue
    frames = bytes([len(buffers)]) + lens + header + b"".join(buffers) + metadata
    count = seen.get(case["message"], 0)
    if len(frames) > LIMIT or count == 2:
        continue
    seen[case["message"]] = count + 1
    keep("frames", case["name"], frames)
    keep("walk", case["name"], frames)
    keep("blob", case["name"], bytes.fromhex(case["single_blob"]))
for case in cases("values.json"):
    keep("tagged", case["name"], bytes.fromhex(case["serialize"]))
for case in cases("numpy.json")[:6]:
    keep("tagged", "raw_" + case["value"]["array"]["dtype"][1:], bytes.fromhex(case["serialize_numpy"]))
for number, case in enumerate(cases("discovery.json")):
    keep("discovery_" + case["kind"], f"{case['kind']}_{number}", bytes.fromhex(case["bytes"]))


def framed(kind, sequence, payload):
    """A frame of cortex_wire::link."""
    body = struct.pack(">BI", kind, sequence) + payload
    body += struct.pack(">I", zlib.crc32(body))
    line, run = bytearray([0]), bytearray()
    for byte in body:
        if byte:
            run.append(byte)
        if not byte or len(run) == 254:
            line += bytes([len(run) + 1]) + run
            run.clear()
    return bytes(line + bytes([len(run) + 1]) + run + b"\0")


def multipart(*frames):
    return b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)


# [version, node, epoch, [[direction, name, type, fingerprint, layout]]]
HELLO = b"\x94\x01\xa5board\x07\x91\x95\x00\xa2/t\xa3Int\xcf" + bytes(range(1, 9)) + b"\x05"
MESSAGE = multipart(b"/t", bytes(24), b"\x91\xcc\xc8")
for number, frames in enumerate(
    [
        [(1, HELLO)],
        [(2, MESSAGE), (2, multipart(b"/t", bytes(24), b"\x91\xc0", bytes(100)))],
        [(2, multipart(b"/t", b"\x01" * 255)), (1, HELLO), (3, b""), (2, b"\0")],
    ]
):
    line = b"".join(framed(kind, sequence, payload) for sequence, (kind, payload) in enumerate(frames))
    keep("link", f"line_{number}", b"\x05" + line)
    keep("link", f"cut_{number}", b"\x05" + line[7:] + line)

keep("link", "hello", HELLO)
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(48)


def ready(socket_type):
    body = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(socket_type)) + socket_type
    return bytes([4, len(body)]) + body


PING = b"\x04\x0d\x04PING\0\x0aabcdef"
for name, role, rest in [
    ("pub", 0, ready(b"SUB") + b"\x04\x0e\x09SUBSCRIBE/cam" + PING + b"\x04\x0b\x06CANCEL/cam"),
    ("pub_3_0", 0, ready(b"XSUB") + b"\0\x05\x01/cam\0\x05\x00/cam"),
    ("sub", 1, ready(b"PUB") + b"\x01\x02/t\x01\x03abc\0\0" + b"\x02" + struct.pack(">Q", 200) + bytes(200)),
    ("req", 2, ready(b"ROUTER") + b"\x01\0\0\x04pong"),
    ("wrong", 1, ready(b"REP")),
    ("claims", 1, ready(b"PUB") + b"\x02" + b"\xff" * 8),
]:
    keep("zmtp", name, bytes([role + 3 * 7]) + GREETING + rest)

# How the connection behaves, and then what a peer sends.
REPORT = b"\x04\x10\x0fX-CORTEX-REPORT"
for name, rest in [
    ("sub", ready(b"SUB") + b"\x04\x0c\x09SUBSCRIBE/t" + PING + b"\x04\x09\x06CANCEL/t"),
    ("xsub_3_0", ready(b"XSUB") + b"\0\x03\x01/t\0\x03\x00/t"),
    ("twice", ready(b"SUB") + ready(b"SUB")),
    ("doubled", ready(b"SUB") + 2 * b"\0\x03\x01/t"),
    ("report", ready(b"SUB") + REPORT + REPORT),
    ("claims", ready(b"SUB") + b"\x06" + b"\xff" * 8),
]:
    keep("local_publisher", name, b"\xff\xff" + GREETING + rest)
    keep("local_publisher", name + "_slow", b"\x05\x02" + GREETING + rest)
for name, rest in [
    ("pub", ready(b"PUB") + b"\x01\x02/t\x01\x03abc\0\0" + PING + b"\x02" + struct.pack(">Q", 300) + bytes(300)),
    ("xpub", ready(b"XPUB") + b"\0\x02/t" + b"\x02" + struct.pack(">Q", 1 << 24) + bytes(100)),
    ("twice", ready(b"PUB") + ready(b"PUB")),
    ("claims", ready(b"PUB") + b"\x02\x80" + bytes(7)),
]:
    keep("local_subscriber", name, b"\x06" + GREETING + rest)
    keep("local_subscriber", name + "_slow", b"\x01" + GREETING + rest)
