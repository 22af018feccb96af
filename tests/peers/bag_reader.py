#!/usr/bin/env python3
"""Prints the messages of a bag, which the package mcap of PyPI reads; arrays are numpy arrays."""

import json
import struct
import sys

import msgpack
import numpy as np
from mcap.reader import make_reader


def split(data):
    """Header, metadata and buffers: each behind its length."""
    while data:
        (length,) = struct.unpack_from(">I", data)
        yield data[4 : 4 + length]
        data = data[4 + length :]


def values(metadata, buffers):
    """The values of the fields; in place of an array the metadata describes it."""
    def array(entry):
        if "__cortex_oob__" not in entry:
            return entry
        return np.frombuffer(buffers[entry["buffer"]], entry["dtype"]).reshape(entry["shape"])

    return msgpack.unpackb(metadata, object_hook=array)


def show(value):
    return [value.dtype.str, *value.shape] if isinstance(value, np.ndarray) else value


with open(sys.argv[1], "rb") as file:
    for schema, channel, message in make_reader(file).iter_messages():
        header, metadata, *buffers = split(message.data)
        fields = [field["name"] for field in json.loads(schema.data).get("fields", [])]
        found = [show(value) for value in values(metadata, buffers)]
        line = {"event": "message", "topic": channel.topic, "node": channel.metadata["node"]}
        line |= {"class": schema.name, "fields": fields, "values": found, "header": header.hex()}
        print(json.dumps(line | {"log_time": message.log_time, "publish_time": message.publish_time}), flush=True)
