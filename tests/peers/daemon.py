#!/usr/bin/env python3
"""The Python discovery daemon: WIRE.md section 6. No lock, no epoch, no leases."""

import zmq

import cortex_peer as peer


class Registry:
    """The topics, and the answer to each request."""

    def __init__(self):
        self.topics = {}

    def answer(self, request):
        """`(response bytes, whether to go on)`; anything malformed is an ERROR."""
        try:
            command, name, info = peer.decode_request(request)
            return self.carry_out(command, name, info), command != peer.SHUTDOWN
        except Exception as error:  # the daemon continues after any error
            return peer.encode_response(peer.ERROR, f"Malformed request: {error}"), True

    def carry_out(self, command, name, info):
        if command == peer.REGISTER:
            return self.register(info)
        if command == peer.UNREGISTER:
            if self.topics.pop(name, None) is None:
                return peer.encode_response(peer.NOT_FOUND, f"Topic {name} not found")
            return peer.encode_response(peer.OK, f"Unregistered topic: {name}")
        if command == peer.LOOKUP:
            if not name:
                return peer.encode_response(peer.ERROR, "Missing topic name")
            if name not in self.topics:
                return peer.encode_response(peer.NOT_FOUND, f"Topic {name} not found")
            return peer.encode_response(peer.OK, topic_info=self.topics[name])
        if command == peer.LIST_TOPICS:
            return peer.encode_response(peer.OK, topics=list(self.topics.values()))
        return peer.encode_response(peer.OK, "pong" if command == peer.PING else "Shutting down")

    def register(self, info):
        if info is None:
            return peer.encode_response(peer.ERROR, "Missing topic info")
        name, owner = info["name"], self.topics.get(info["name"], info)["publisher_node"]
        if owner != info["publisher_node"]:
            return peer.encode_response(peer.ALREADY_EXISTS, f"Topic {name} already registered by {owner}")
        self.topics[name] = info
        return peer.encode_response(peer.OK, f"Registered topic: {name}")


def main():
    parser = peer.Parser(description="Python discovery daemon")
    parser.add_argument("--address", default=peer.DEFAULT_DISCOVERY)
    options = parser.parse_args()

    ending = peer.Ending()
    peer.make_folder(options.address)
    context = zmq.Context()
    socket = context.socket(zmq.REP)
    socket.bind(options.address)
    address = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    registry = Registry()
    try:
        peer.emit(event="ready", address=address)
        running = True
        while running and not ending.before(socket, None):
            frames = socket.recv_multipart()
            response, running = registry.answer(frames[0] if len(frames) == 1 else b"")
            socket.send(response)
        peer.emit(event="done")
    finally:
        socket.close(linger=1000)
        context.term()
        peer.remove_socket_file(address)


if __name__ == "__main__":
    peer.run(main)
