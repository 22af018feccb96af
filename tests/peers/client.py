#!/usr/bin/env python3
"""A Python discovery client: WIRE.md section 6.

One JSON command per line on stdin, one JSON line for each answer; {"error": ...} where no usable
answer came (none within five seconds, or a topic_info that has not exactly the five keys).
"""

import json
import signal
import sys

import zmq

import cortex_peer as peer

COMMANDS = {
    "register": peer.REGISTER,
    "unregister": peer.UNREGISTER,
    "lookup": peer.LOOKUP,
    "list": peer.LIST_TOPICS,
    "ping": peer.PING,
    "shutdown": peer.SHUTDOWN,
}


def request_bytes(line):
    """The request that a line of JSON describes."""
    command = json.loads(line)
    if command["command"] == "raw":
        return bytes.fromhex(command["hex"])
    info = peer.read_topic(command.get("topic_info"))
    return peer.encode_request(COMMANDS[command["command"]], command.get("topic_name"), info)


def main():
    parser = peer.Parser(description="Python discovery client; commands as JSON lines on stdin")
    parser.add_argument("--discovery", default=peer.DEFAULT_DISCOVERY)
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds to wait for an answer")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    context = zmq.Context()
    client = peer.DiscoveryClient(context, options.discovery, options.timeout)
    try:
        for line in sys.stdin:
            try:
                request = request_bytes(line)
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                raise ValueError(f"not a command: {line.strip()} ({error!r})") from error
            try:
                response = client.exchange(request)
            except peer.DiscoveryError as error:
                peer.emit(error=str(error))
                continue
            topics = response["topics"]
            response["topic_info"] = peer.write_topic(response["topic_info"])
            response["topics"] = None if topics is None else [peer.write_topic(info) for info in topics]
            peer.emit(**response)
    finally:
        client.close()
        context.term()


if __name__ == "__main__":
    peer.run(main)
