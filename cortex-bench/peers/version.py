#!/usr/bin/env python3
"""Prints the versions of Python and of the packages that the Python contenders use."""

import platform

import numpy
import uvloop
import zmq

print(
    f"{platform.python_version()} with pyzmq {zmq.__version__}, libzmq {zmq.zmq_version()}, "
    f"numpy {numpy.__version__}, uvloop {uvloop.__version__}"
)
