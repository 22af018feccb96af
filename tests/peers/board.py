#!/usr/bin/env python3
"""The other side of examples/firmware: checks its readings and images, and changes its rate.

    CORTEX_DISCOVERY=ipc:///tmp/cortex/discovery.sock python board.py

Takes readings and images until it has --imu and --images of them, every one in order, with the
values that the firmware computes, and stamped by the gateway. After a third of the readings it
publishes the command.
"""

import os
import time

import numpy as np
import zmq

import cortex_peer as peer
from archive_write import fingerprint

IMU, CAMERA, RATE = "/imu", "/camera", "/board/rate"
IMU_CLASS = "robot.msgs.Imu"


def expected_imu(number):
    """The readings that examples/firmware/src/sensors.rs computes, except for the time."""
    phase = np.float32(number % 1000)
    acceleration = np.array([phase / 8, -phase / 4, 9.75], np.float32)
    angular_velocity = np.array([phase / 16, 0.5, -phase / 2], np.float32)
    return acceleration, angular_velocity, 20.0 + number % 64 / 16


def expected_image(number):
    return ((np.arange(32 * 32) * 7 + number) % 256).astype(np.uint8).reshape(32, 32)


def same(found, expected):
    return found.dtype == expected.dtype and found.shape == expected.shape and np.array_equal(found, expected)


def check_imu(number, values):
    acceleration, angular_velocity, temperature, _, frame_id = values
    expected = expected_imu(number)
    if not (same(acceleration, expected[0]) and same(angular_velocity, expected[1])):
        raise ValueError(f"reading {number} has {acceleration}, {angular_velocity}")
    if (temperature, frame_id) != (expected[2], "imu"):
        raise ValueError(f"reading {number} has {temperature}, {frame_id}")


def check_image(number, values):
    data, *rest = values
    if not same(data, expected_image(number)) or rest != ["mono8", 32, 32]:
        raise ValueError(f"image {number} is {data}, {rest}")


class Stream:
    """Messages of one topic, in order."""

    def __init__(self, name, check):
        self.name = name
        self.check = check
        self.next = None
        self.count = 0

    def take(self, info, frames):
        found, timestamp_ns, number = peer.HEADER.unpack(frames[1])
        if found != info["fingerprint"]:
            raise ValueError(f"{self.name} has fingerprint {found:#018x}")
        if abs(time.time_ns() - timestamp_ns) > 60e9:
            raise ValueError(f"{self.name} {number} is not stamped: {timestamp_ns}")
        if self.next not in (None, number):
            raise ValueError(f"{self.name} {number} came instead of {self.next}")
        values = peer.decode_fields(frames[2], frames[3:])
        self.check(number, values)
        self.next = number + 1
        self.count += 1
        return timestamp_ns, values


def find(client, name, ending):
    """The registration of a topic, once the daemon has it."""
    while not ending.wait(0.05):
        response = client.request(peer.LOOKUP, topic_name=name)
        if response["status"] == peer.OK:
            return response["topic_info"]
    return None


def run(context, client, ending, options):
    expected = {IMU: ("Imu", fingerprint(IMU_CLASS)), CAMERA: ("ImageMessage", peer.fingerprint("ImageMessage"))}
    streams = {IMU: Stream(IMU, check_imu), CAMERA: Stream(CAMERA, check_image)}
    infos = {}
    readings = context.socket(zmq.SUB)
    readings.rcvhwm = 0
    readings.linger = 0
    for name in streams:
        infos[name] = find(client, name, ending)
        if infos[name] is None:
            return peer.emit(event="stopped")
        if (infos[name]["message_type"], infos[name]["fingerprint"]) != expected[name]:
            raise ValueError(f"{name} is registered as {infos[name]}")
        if infos[name]["publisher_node"] != "board":
            raise ValueError(f"{name} is published by {infos[name]['publisher_node']}")
        readings.subscribe(name)
        readings.connect(infos[name]["address"])

    folder = os.path.dirname(options.discovery.removeprefix("ipc://"))
    address = f"ipc://{folder}/driver__board_rate.sock"
    peer.make_folder(address)
    rate = context.socket(zmq.XPUB)
    rate.linger = 0
    rate.bind(address)
    info = {
        "name": RATE,
        "address": address,
        "message_type": "IntMessage",
        "fingerprint": peer.fingerprint("IntMessage"),
        "publisher_node": "driver",
    }
    client.request(peer.REGISTER, topic_info=info)
    is_heard = is_sent = False
    peer.emit(event="receiving")
    try:
        # Time between two readings: by the board's clock, and by that of the gateway.
        periods_ms, stamps_ns, last_ms = [], [], None
        wanted_ms = 1000 // options.rate
        while (
            streams[IMU].count < options.imu
            or streams[CAMERA].count < options.images
            or periods_ms[-10:] != [wanted_ms] * 10
        ):
            if ending.before(readings, 30.0):
                raise ValueError(f"nothing came any more after {streams[IMU].count} readings")
            frames = readings.recv_multipart()
            name = frames[0].decode()
            stamp_ns, values = streams[name].take(infos[name], frames)
            if name != IMU:
                continue
            stamps_ns.append(stamp_ns)
            if last_ms is not None:
                periods_ms.append(values[3] - last_ms)
            last_ms = values[3]
            while rate.poll(0):
                is_heard = rate.recv() == b"\x01" + RATE.encode()
            if is_heard and not is_sent and streams[IMU].count >= options.imu // 3:
                frames = peer.encode_message("IntMessage", [options.rate], time.time_ns(), 0)
                rate.send_multipart([RATE.encode(), *frames])
                is_sent = True
        arrived_ms = np.diff(np.array(stamps_ns)) / 1e6
        peer.emit(
            event="done",
            readings=streams[IMU].count,
            images=streams[CAMERA].count,
            first_period_ms=periods_ms[0],
            last_period_ms=periods_ms[-1],
            changes=sum(a != b for a, b in zip(periods_ms, periods_ms[1:])),
            arrived_ms=[round(float(np.median(part)), 2) for part in (arrived_ms[:100], arrived_ms[-100:])],
        )
    finally:
        client.request(peer.UNREGISTER, topic_name=RATE)
        readings.close()
        rate.close()
        peer.remove_socket_file(address)


def main():
    parser = peer.Parser(description="Checks the messages of examples/firmware")
    parser.add_argument("--discovery", default=os.environ.get("CORTEX_DISCOVERY", peer.DEFAULT_DISCOVERY))
    parser.add_argument("--imu", type=int, default=1000, help="readings to take")
    parser.add_argument("--images", type=int, default=100, help="images to take")
    parser.add_argument("--rate", type=int, default=200, help="readings a second to request")
    options = parser.parse_args()
    ending = peer.Ending()
    context = zmq.Context()
    client = peer.DiscoveryClient(context, options.discovery)
    try:
        run(context, client, ending, options)
    finally:
        client.close()
        context.term()


if __name__ == "__main__":
    peer.run(main)
