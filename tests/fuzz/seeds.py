#!/usr/bin/env python3
"""Makes the kept corpus from the golden vectors: python3 tests/fuzz/seeds.py

Small ones only: what is large is made of the same parts.
"""

import json
import pathlib

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
