#!/usr/bin/env python3
"""A Python subscriber: WIRE.md section 1, 2 and 5 (accepted messages) and 6 (lookup of a topic).

Checks the fingerprint strictly and never compares the topic, as Python. What it cannot decode is
reported as {"event": "rejected", "reason": ...} and not counted.
"""

import time

import zmq

import cortex_peer as peer


def find(client, topic, deadline, ending):
    """The address of `topic`, looked up until found; None when the deadline or the end comes first."""
    while (left := deadline - time.monotonic()) > 0:
        client.timeout = min(left, 5.0)
        try:
            response = client.request(peer.LOOKUP, topic_name=topic)
            if response["status"] == peer.OK and response["topic_info"]:
                return response["topic_info"]["address"]
        except peer.DiscoveryError:
            pass
        if ending.wait(0.05):
            return None
    return None


def main():
    parser = peer.Parser(description="Python subscriber")
    parser.add_argument("--discovery", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--message", required=True, choices=peer.STANDARD)
    parser.add_argument("--count", type=int, required=True, help="end after so many messages")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for everything together")
    parser.add_argument("--digest", action="store_true", help="print the SHA-256 of array data instead of the data")
    options = parser.parse_args()

    deadline = time.monotonic() + options.timeout
    ending = peer.Ending()
    context = zmq.Context()
    client = peer.DiscoveryClient(context, options.discovery)
    socket = context.socket(zmq.SUB)
    socket.linger = 0
    received = 0
    try:
        address = find(client, options.topic, deadline, ending)
        if address:
            socket.setsockopt_string(zmq.SUBSCRIBE, options.topic)
            socket.connect(address)
            peer.emit(event="connected", address=address)
        while received < options.count:
            if not address or ending.before(socket, deadline - time.monotonic()):
                if ending.wait(0):
                    peer.emit(event="stopped", received=received)
                    return 0
                peer.emit(event="timeout", received=received)
                return 1
            frames = socket.recv_multipart()
            try:
                timestamp_ns, sequence, values = peer.decode_message(options.message, frames[1:])
                fields = [
                    {"name": name, "value": peer.to_typed(value, options.digest)}
                    for name, value in zip(peer.STANDARD[options.message], values)
                ]
                peer.emit(event="message", sequence=sequence, timestamp_ns=timestamp_ns, fields=fields)
                received += 1
            except Exception as error:  # a receive loop continues after any error
                peer.emit(event="rejected", reason=f"{type(error).__name__}: {error}")
        peer.emit(event="done", received=received)
        return 0
    finally:
        client.close()
        socket.close()
        context.term()


if __name__ == "__main__":
    peer.run(main)
