#!/usr/bin/env python3
"""Twin of examples/image_camera.rs: an ImageMessage on /cam/image, 10 times a second.

    CORTEX_DISCOVERY=ipc:///tmp/cortex/discovery.sock python image_camera.py
"""

import os
import time

import numpy as np
import zmq

import cortex_peer as peer

TOPIC = "/cam/image"


def main():
    discovery = os.environ.get("CORTEX_DISCOVERY", peer.DEFAULT_DISCOVERY)
    folder = os.path.dirname(discovery.removeprefix("ipc://"))
    address = f"ipc://{folder}/topics/image_camera__cam_image.sock"
    info = {
        "name": TOPIC,
        "address": address,
        "message_type": "ImageMessage",
        "fingerprint": peer.fingerprint("ImageMessage"),
        "publisher_node": "image_camera",
    }
    ending = peer.Ending()
    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    peer.make_folder(address)
    socket.bind(address)
    client = peer.DiscoveryClient(context, discovery)
    client.request(peer.REGISTER, topic_info=info)
    print(f"publishing {TOPIC} at {address}", flush=True)
    sequence = 0
    while not ending.wait(0.1):
        pixels = np.full((240, 320), sequence % 200, dtype=np.uint8)
        pixels[0, 0] = 250
        values = [pixels, "bayer_rggb8", 320, 240]
        frames = peer.encode_message("ImageMessage", values, time.time_ns(), sequence)
        socket.send_multipart([TOPIC.encode(), *frames])
        sequence += 1
    client.request(peer.UNREGISTER, topic_name=TOPIC)
    client.close()
    socket.close(linger=0)
    context.term()
    peer.remove_socket_file(address)


if __name__ == "__main__":
    peer.run(main)
