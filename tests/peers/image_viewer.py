#!/usr/bin/env python3
"""Twin of examples/image_viewer.rs: reads in place, copies before it changes, hands to a thread.

    CORTEX_DISCOVERY=ipc:///tmp/cortex/discovery.sock python image_viewer.py
"""

import os
import queue
import threading

import zmq

import cortex_peer as peer

TOPIC = "/cam/image"


def find(client, ending):
    """The publisher's address; None when the end comes first."""
    while not ending.wait(0.05):
        try:
            response = client.request(peer.LOOKUP, topic_name=TOPIC)
        except peer.DiscoveryError:
            continue
        if response["status"] == peer.OK:
            return response["topic_info"]["address"]
    return None


def work(images):
    while (item := images.get()) is not None:
        sequence, pixels = item
        print(f"[{sequence}] elsewhere: brightest={pixels.max()}", flush=True)


def main():
    discovery = os.environ.get("CORTEX_DISCOVERY", peer.DEFAULT_DISCOVERY)
    ending = peer.Ending()
    images = queue.Queue()
    worker = threading.Thread(target=work, args=(images,))
    worker.start()
    context = zmq.Context()
    client = peer.DiscoveryClient(context, discovery, timeout=1.0)
    socket = context.socket(zmq.SUB)
    print(f"waiting for {TOPIC}", flush=True)
    if address := find(client, ending):
        socket.connect(address)
        socket.subscribe(TOPIC)
        while not ending.before(socket, None):
            frames = [bytes(frame) for frame in socket.recv_multipart()]
            _, sequence, values = peer.decode_message("ImageMessage", frames[1:])
            pixels, encoding, width, height = values
            # Read in place: numpy looks at the frame. It is read-only here, as bytes are.
            print(f"[{sequence}] {encoding} {width}x{height} first={pixels.flat[0]}", flush=True)
            # Copied, and then changed.
            negative = pixels.copy()
            negative[:] = 255 - negative
            print(f"[{sequence}] negative: first={negative.flat[0]}", flush=True)
            # Handed over: the array keeps the frame alive.
            images.put((sequence, pixels))
    images.put(None)
    worker.join()
    client.close()
    socket.close(linger=0)
    context.term()


if __name__ == "__main__":
    peer.run(main)
