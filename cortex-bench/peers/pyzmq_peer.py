#!/usr/bin/env python3
"""One process of a pair, with pyzmq. `src/peer/protocol.rs` defines the requests and events.

Sends and receives as the documentation of pyzmq shows: arrays are sent with `copy=False` and read
with `numpy.frombuffer`; receiving is `await socket.recv_multipart(copy=False)` in asyncio, or in
uvloop if the setup says so.
"""

import asyncio
import json
import struct
import sys
import threading
import time

import numpy
import zmq
import zmq.asyncio

TOPIC = b"/bench/topic"
SILENCE = 2.0  # a run ends after so many seconds without a message


def write_event(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def metadata(length):
    """The metadata of an ArrayMessage: an array, a name, a frame id."""
    shape = bytes([length]) if length < 128 else b"\xce" + struct.pack(">I", length)
    return b"\x93\x84\xae__cortex_oob__\xa5numpy\xa6buffer\x00\xa5dtype\xa3|u1\xa5shape\x91" + shape + b"\xa0\xa5bench"


def runs():
    """The requested runs; responds itself to requests for the CPU time."""
    for line in sys.stdin:
        request = json.loads(line)
        if request == "cpu":
            write_event("cpu", cpu_seconds=time.process_time())
        else:
            yield request


def publish(setup):
    context = zmq.Context()
    socket = context.socket(zmq.XPUB)
    socket.sndhwm = setup["queue"]
    socket.linger = 0
    socket.setsockopt(zmq.XPUB_NODROP, int(setup["waits"]))
    socket.bind(f"ipc://{setup['folder']}/socket")
    write_event("bound")
    for _ in range(setup["subscribers"]):
        socket.recv()
    write_event("ready")
    array = numpy.zeros(setup["len"], numpy.uint8)
    described = metadata(setup["len"])
    sequence = 0
    for run in runs():
        cpu = time.process_time()
        start = time.monotonic_ns()
        for index in range(run["warmup"] + run["count"]):
            if run["period_ns"]:
                wait = start + index * run["period_ns"] - time.monotonic_ns()
                if wait > 0:
                    time.sleep(wait / 1e9)
            if run["is_timed"]:
                # A copy, since the previous frame may still be queued.
                array = array.copy()
                array[:8].view("<u8")[0] = time.monotonic_ns()
            header = struct.pack(">QQQ", 0, time.time_ns(), sequence)
            sequence += 1
            socket.send_multipart([TOPIC, header, described, array], copy=False)
        write_event("sent", cpu_seconds=time.process_time() - cpu)


class Inbox:
    """Counts messages and records their ages."""

    def __init__(self):
        self.done = threading.Event()
        self.run = None

    def start(self, run):
        self.seen, self.ages = 0, []
        self.begin = self.end = time.monotonic()
        self.done.clear()
        self.run = run

    def record(self, frames):
        data = numpy.frombuffer(frames[3], numpy.uint8)
        run = self.run
        if run is None:
            return
        self.seen += 1
        if self.seen <= run["warmup"]:
            self.begin = self.end = time.monotonic()
            return
        if run["is_timed"]:
            self.ages.append(time.monotonic_ns() - int.from_bytes(data[:8].tobytes(), "little"))
        last = run["warmup"] + run["count"]
        if self.seen == last or self.seen % 64 == 0:
            self.end = time.monotonic()
            if self.seen == last:
                self.done.set()

    def wait(self):
        before = 0
        while not self.done.wait(SILENCE) and (self.seen == 0 or self.seen != before):
            before = self.seen
        run, self.run = self.run, None
        ages = [float(p) / 1e3 for p in numpy.percentile(self.ages, [50, 99, 99.9])] if self.ages else [0.0] * 3
        return max(self.seen - run["warmup"], 0), self.end - self.begin, ages


def serve(inbox):
    for run in runs():
        inbox.start(run)
        cpu = time.process_time()
        write_event("armed")
        count, seconds, ages = inbox.wait()
        write_event("received", count=count, seconds=seconds, ages_us=ages, cpu_seconds=time.process_time() - cpu)


async def receive(setup, inbox):
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.SUB)
    socket.rcvhwm = setup["queue"]
    socket.linger = 0
    socket.subscribe(TOPIC)
    socket.connect(f"ipc://{setup['folder']}/socket")
    write_event("ready")
    while True:
        inbox.record(await socket.recv_multipart(copy=False))


def subscribe(setup):
    inbox = Inbox()
    if setup["receiving"] == "Uvloop":
        import uvloop

        run = uvloop.run
    else:
        run = asyncio.run
    threading.Thread(target=lambda: run(receive(setup, inbox)), daemon=True).start()
    serve(inbox)


if __name__ == "__main__":
    setup = json.loads(sys.argv[2])
    {"publisher": publish, "subscriber": subscribe}[sys.argv[1]](setup)
