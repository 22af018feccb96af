#!/usr/bin/env python3
"""What numpy reads from descriptors: dtypes and shapes of a file, one JSON list [dtype, shape, bytes] a line.

    python dtypes.py FILE

Prints an event `done` with an answer for each line: nothing if numpy refuses it, else its own text of the
dtype and the bytes of an item.
"""

import json
import sys
import warnings

import numpy as np


def answer(text, shape, length):
    """How numpy reads an array of these bytes."""
    try:
        dtype = np.dtype(text)
        if dtype.hasobject or dtype.itemsize == 0:
            return None
        np.frombuffer(bytes(length), dtype=np.uint8).view(dtype).reshape(shape)
    except (TypeError, ValueError, OverflowError, SyntaxError, ZeroDivisionError):
        return None
    return [dtype.str, dtype.itemsize]


def main():
    warnings.simplefilter("ignore")
    with open(sys.argv[1], encoding="utf-8") as file:
        answers = [answer(*json.loads(line)) for line in file]
    print(json.dumps({"event": "done", "answers": answers}), flush=True)


main()
