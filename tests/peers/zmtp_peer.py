#!/usr/bin/env python3
"""A plain pyzmq socket of any type that publishes or subscribes, with or without heartbeats.

PUB and XPUB bind and send numbered messages; SUB and XSUB connect and check the numbers. Each line of
stdin is the number of messages to send, or to receive. Frames are the topic, the number and a body.
"""

import sys

import zmq
from zmq.utils.monitor import recv_monitor_message

import cortex_peer as peer

FAULTS = zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL


def faults(monitor):
    """Connections that ended since the last call."""
    count = 0
    while monitor.poll(0):
        recv_monitor_message(monitor)
        count += 1
    return count


def main():
    parser = peer.Parser(description="pyzmq socket")
    parser.add_argument("--type", required=True, choices=["PUB", "XPUB", "SUB", "XSUB"])
    parser.add_argument("--address", required=True)
    parser.add_argument("--topic", default="/t", help="topic of the messages, or prefix of the subscription")
    parser.add_argument("--size", type=int, default=40, help="bytes of the body")
    parser.add_argument("--heartbeat", type=int, help="milliseconds between PINGs, and until a peer is dead")
    options = parser.parse_args()
    context = zmq.Context()
    socket = context.socket(getattr(zmq, options.type))
    socket.linger = 0
    socket.sndhwm = socket.rcvhwm = 0
    if options.heartbeat:
        socket.heartbeat_ivl = options.heartbeat
        socket.heartbeat_timeout = 5 * options.heartbeat
        socket.heartbeat_ttl = 5 * options.heartbeat
    monitor = socket.get_monitor_socket(FAULTS)
    topic, body = options.topic.encode(), bytes(range(256)) * (options.size // 256 + 1)
    publishes = options.type in ("PUB", "XPUB")
    if publishes:
        peer.make_folder(options.address)
        socket.bind(options.address)
    else:
        if options.type == "SUB":
            socket.subscribe(topic)
        socket.connect(options.address)
        if options.type == "XSUB":
            socket.send(b"\x01" + topic)
    peer.emit(event="ready")
    if options.type == "XPUB":
        peer.emit(event="subscription", bytes=socket.recv().hex())
    number = None if not publishes else 0
    for line in sys.stdin:
        for _ in range(int(line)):
            if publishes:
                socket.send_multipart([topic, number.to_bytes(4, "big"), body[: options.size]])
                number += 1
                continue
            if not socket.poll(30_000):
                raise ValueError(f"nothing came after message {number}")
            first, found, rest = socket.recv_multipart()
            found = int.from_bytes(found, "big")
            if not first.startswith(topic) or rest != body[: len(rest)] or number not in (None, found):
                raise ValueError(f"received {first!r} {found} of {len(rest)} bytes instead of {number}")
            number = found + 1
        peer.emit(event="done", number=number, faults=faults(monitor))
    socket.disable_monitor()
    socket.close(linger=0)
    context.term()
    return 0


if __name__ == "__main__":
    peer.run(main)
