#!/usr/bin/env python3
"""A typical periodic loop in Python: sleeps until the next time and records how late it woke up."""

import json
import sys
import time

import numpy


def main(period_ns, ticks):
    late = []
    due = time.monotonic_ns()
    for _ in range(ticks):
        due += period_ns
        wait = due - time.monotonic_ns()
        if wait > 0:
            time.sleep(wait / 1e9)
        late.append(max(time.monotonic_ns() - due, 0))
    print(json.dumps({"late_us": [float(p) / 1e3 for p in numpy.percentile(late, [50, 99, 99.9])]}))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
