#!/usr/bin/env python3
"""A Python publisher: WIRE.md section 1 (messages) and 6 (registration).

Cycles through golden messages of one type, or through raw multipart messages, until SIGTERM, the
end of stdin or --count.
"""

import json
import os
import sys
import time

import zmq

import cortex_peer as peer


def golden_messages(path, names):
    """`(type, list of field value lists)` of the named cases."""
    with open(path, encoding="utf-8") as file:
        cases = {case["name"]: case for case in json.load(file)["cases"]}
    unknown = [name for name in names if name not in cases]
    if unknown:
        raise ValueError(f"{path} has no message named {', '.join(unknown)}")
    types = {cases[name]["message"] for name in names}
    if len(types) != 1:
        raise ValueError(f"the names are of several types: {', '.join(sorted(types))}")
    values = [[peer.from_typed(field["value"]) for field in cases[name]["fields"]] for name in names]
    return types.pop(), values


def raw_messages(path):
    """Lists of frames, one for each line of JSON."""
    with open(path, encoding="utf-8") as file:
        messages = [[bytes.fromhex(frame) for frame in json.loads(line)] for line in file if line.strip()]
    if not messages:
        raise ValueError(f"{path} holds no message")
    return messages


def main():
    parser = peer.Parser(description="Python publisher")
    parser.add_argument("--discovery", required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--address", help="default: an ipc path made from node and topic")
    parser.add_argument("--ipc-dir", default="/tmp/cortex/topics", help="folder of that path")
    parser.add_argument("--golden", help="messages.json")
    parser.add_argument("--names", help="names of golden messages of one type, with commas between")
    parser.add_argument("--raw", help="file with a JSON list of hex frames per line, sent instead; no topic in it")
    parser.add_argument("--message", choices=peer.STANDARD, help="type to register for --raw without --names")
    parser.add_argument("--period", type=float, default=0.02, help="seconds between messages")
    parser.add_argument("--count", type=int, help="number of messages; default endless")
    options = parser.parse_args()
    if bool(options.golden) != bool(options.names) or not (options.names or options.raw):
        parser.error("wants --golden and --names, or --raw")
    if options.raw and not options.names and not options.message:
        parser.error("--raw wants --message, or --golden and --names, for the type to register")

    message, values = options.message, []
    if options.names:
        message, values = golden_messages(options.golden, options.names.split(","))
    raw = raw_messages(options.raw) if options.raw else None
    ending = peer.Ending()
    address = options.address
    if not address:
        path = options.topic.replace("/", "_").lstrip("_")
        address = f"ipc://{os.path.abspath(options.ipc_dir)}/{options.node}__{path}.sock"
    info = {
        "name": options.topic,
        "address": address,
        "message_type": message,
        "fingerprint": peer.fingerprint(message),
        "publisher_node": options.node,
    }

    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    client = peer.DiscoveryClient(context, options.discovery)
    peer.make_folder(address)
    sent = 0
    socket.bind(address)
    try:
        info["address"] = address = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        response = client.request(peer.REGISTER, topic_info=info)
        if response["status"] != peer.OK:
            raise peer.DiscoveryError(f"cannot register {options.topic}: {response['message']}")
        peer.emit(event="ready", address=address)
        while sent != options.count and not ending.wait(options.period if sent else 0):
            if raw:
                frames = raw[sent % len(raw)]
            else:
                frames = peer.encode_message(message, values[sent % len(values)], time.time_ns(), sent)
            socket.send_multipart([options.topic.encode(), *frames])
            sent += 1
        try:
            client.request(peer.UNREGISTER, topic_name=options.topic)
        except peer.DiscoveryError as error:
            print(f"not unregistered: {error}", file=sys.stderr)
        peer.emit(event="done", sent=sent)
    finally:
        client.close()
        socket.close(linger=1000)
        context.term()
        peer.remove_socket_file(address)


if __name__ == "__main__":
    peer.run(main)
