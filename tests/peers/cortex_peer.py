#!/usr/bin/env python3
"""The codec, the typed notation and the discovery client of a Cortex (Python) peer.

Written from WIRE.md: section 1 (frames), 2 (fingerprints), 3 (standard messages), 4 (tagged values),
5 (single blob), 6 (discovery) and "golden/" (typed notation).

It is one file of more than 500 lines so that the peers import it without a package.

    cortex_peer.py selftest GOLDEN_DIR    reproduce every golden byte, both ways
"""

import argparse
import hashlib
import json
import os
import select
import signal
import struct
import sys
import threading

import msgpack
import numpy as np
import zmq

# --- Standard messages (WIRE 3): field names in declaration order ---

MODULE = "cortex.messages.standard"
STANDARD = {
    "StringMessage": ["data"],
    "IntMessage": ["data"],
    "FloatMessage": ["data"],
    "BytesMessage": ["data"],
    "DictMessage": ["data"],
    "ListMessage": ["data"],
    "ArrayMessage": ["data", "name", "frame_id"],
    "MultiArrayMessage": ["arrays", "frame_id"],
    "TensorMessage": ["data", "name"],
    "MultiTensorMessage": ["tensors"],
    "ImageMessage": ["data", "encoding", "width", "height"],
    "PointCloudMessage": ["points", "colors", "intensity", "normals", "frame_id"],
    "PoseMessage": ["position", "orientation", "frame_id", "child_frame_id"],
    "TransformMessage": ["matrix", "frame_id", "child_frame_id"],
    "TimestampMessage": ["sec", "nanosec"],
    "HeaderMessage": ["stamp_sec", "stamp_nanosec", "frame_id", "sequence"],
}


def fingerprint(message):
    """The wire fingerprint (WIRE 2) of a standard message, from its full class name."""
    text = f"{MODULE}.{message}|_field_names_cache:ClassVar,_sequence_counter:ClassVar"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


class Tensor:
    """Stands for a torch tensor on the CPU: an array with its device and gradient flag."""

    def __init__(self, array, device="cpu", requires_grad=False):
        self.array = np.ascontiguousarray(array)
        self.device = device
        self.requires_grad = requires_grad


def array_from(data, dtype, shape):
    """A numpy array over `data`. Fails as numpy does where dtype, shape and length disagree."""
    return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape)


# --- Frames: header, metadata, buffers (WIRE 1) ---

HEADER = struct.Struct(">QQQ")
OOB = "__cortex_oob__"


def encode_message(message, values, timestamp_ns, sequence):
    """The frames after the topic: header, metadata and one buffer for each array."""
    header = HEADER.pack(fingerprint(message), timestamp_ns, sequence)
    return [header, *encode_fields(values)]


def encode_fields(values):
    """Metadata and buffers of a list of field values."""
    buffers = []

    def outline(value):
        if isinstance(value, dict):
            return {key: outline(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [outline(item) for item in value]
        if isinstance(value, Tensor):
            return {**describe("torch", value.array), "device": value.device, "requires_grad": value.requires_grad}
        if isinstance(value, np.ndarray):
            return describe("numpy", np.ascontiguousarray(value))
        return value

    def describe(kind, array):
        buffers.append(array.tobytes())
        return {OOB: kind, "buffer": len(buffers) - 1, "dtype": array.dtype.str, "shape": list(array.shape)}

    metadata = msgpack.packb([outline(value) for value in values], use_bin_type=True)
    return [metadata, *buffers]


def decode_message(message, frames):
    """`(timestamp_ns, sequence, values)` from the frames after the topic.

    One frame is a single blob, two or more are header, metadata and buffers. The fingerprint must
    be the type's; the topic is not compared, as in Python.
    """
    if not frames:
        raise ValueError("message has no frame after the topic")
    if len(frames) == 1:
        return decode_blob(message, frames[0])
    timestamp_ns, sequence = decode_header(message, frames[0])
    return timestamp_ns, sequence, build(message, decode_fields(frames[1], frames[2:]))


def decode_header(message, data):
    if len(data) != HEADER.size:
        raise ValueError(f"header has {len(data)} bytes instead of {HEADER.size}")
    found, timestamp_ns, sequence = HEADER.unpack(data)
    if found != fingerprint(message):
        raise ValueError(f"fingerprint {found:#018x} is not that of {message} ({fingerprint(message):#018x})")
    return timestamp_ns, sequence


def decode_fields(metadata, buffers):
    """The list of field values, arrays taken from `buffers`. Keys other than str and bytes are refused."""

    def restore(value):
        if isinstance(value, list):
            return [restore(item) for item in value]
        if not isinstance(value, dict):
            return value
        if OOB not in value:
            return {key: restore(item) for key, item in value.items()}
        array = array_from(buffers[value["buffer"]], value["dtype"], value["shape"])
        if value[OOB] == "numpy":
            return array
        if value[OOB] == "torch":
            return Tensor(array, value["device"], value["requires_grad"])
        raise ValueError(f"unknown out-of-band kind {value[OOB]!r}")

    values = msgpack.unpackb(metadata, raw=False)
    if not isinstance(values, list):
        raise ValueError("metadata is not an array")
    return [restore(value) for value in values]


def build(message, values):
    """The field values after the class's constructor has seen them."""
    if len(values) != len(STANDARD[message]):
        raise ValueError(f"{message} has {len(STANDARD[message])} fields, found {len(values)}")
    if message == "ImageMessage":
        data, encoding, width, height = values
        if width == 0 and isinstance(data, np.ndarray) and data.ndim in (2, 3):
            height, width = data.shape[:2]
        values = [data, encoding, width, height]
    return values


# --- Tagged values and the single blob (WIRE 4 and 5) ---

NIL, PRIMITIVE, NUMPY, TORCH, MAP, LIST, BYTES = range(7)
EXT_ARRAY, EXT_TENSOR = 1, 2


def encode_value(value):
    """One tagged value."""
    if value is None:
        return bytes([NIL])
    if isinstance(value, bytes):
        return struct.pack(">BI", BYTES, len(value)) + value
    if isinstance(value, np.ndarray):
        return bytes([NUMPY]) + encode_array(value)
    if isinstance(value, Tensor):
        device = value.device.encode()
        start = struct.pack(">BBH", TORCH, value.requires_grad, len(device))
        return start + device + encode_array(value.array)
    tag = MAP if isinstance(value, dict) else LIST if isinstance(value, (list, tuple)) else PRIMITIVE
    body = msgpack.packb(value, use_bin_type=True, default=pack_extension)
    return struct.pack(">BI", tag, len(body)) + body


def encode_array(array):
    array = np.ascontiguousarray(array)
    dtype = array.dtype.str.encode()
    start = struct.pack(f">B{array.ndim}IH", array.ndim, *array.shape, len(dtype))
    return start + dtype + array.tobytes()


def pack_extension(value):
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        payload = [array.dtype.str, list(array.shape), array.tobytes()]
        return msgpack.ExtType(EXT_ARRAY, msgpack.packb(payload, use_bin_type=True))
    if isinstance(value, Tensor):
        array = value.array
        payload = [value.device, value.requires_grad, array.dtype.str, list(array.shape), array.tobytes()]
        return msgpack.ExtType(EXT_TENSOR, msgpack.packb(payload, use_bin_type=True))
    raise TypeError(f"cannot encode {type(value).__name__}")


def decode_value(data):
    """`(value, bytes consumed)` of the tagged value at the start of `data`."""
    reader = Reader(data)
    tag = reader.unpack("B")
    if tag == NIL:
        value = None
    elif tag == BYTES:
        value = reader.take(reader.unpack("I"))
    elif tag == NUMPY:
        value = decode_array(reader)
    elif tag == TORCH:
        requires_grad = bool(reader.unpack("B"))
        device = reader.take(reader.unpack("H")).decode()
        value = Tensor(decode_array(reader), device, requires_grad)
    elif tag in (PRIMITIVE, MAP, LIST):
        value = msgpack.unpackb(reader.take(reader.unpack("I")), raw=False, ext_hook=unpack_extension)
    else:
        raise ValueError(f"unknown tag {tag}")
    return value, reader.position


def decode_array(reader):
    shape = [reader.unpack("I") for _ in range(reader.unpack("B"))]
    dtype = np.dtype(reader.take(reader.unpack("H")).decode())
    count = 1
    for dimension in shape:
        count *= dimension
    return array_from(reader.take(count * dtype.itemsize), dtype, shape)


def unpack_extension(code, payload):
    fields = msgpack.unpackb(payload, raw=False)
    if code == EXT_ARRAY:
        dtype, shape, data = fields
        return array_from(data, dtype, shape)
    if code == EXT_TENSOR:
        device, requires_grad, dtype, shape, data = fields
        return Tensor(array_from(data, dtype, shape), device, requires_grad)
    return msgpack.ExtType(code, payload)


class Reader:
    """Takes big-endian numbers and byte strings from the front of `data`."""

    def __init__(self, data):
        self.data = data
        self.position = 0

    def take(self, count):
        part = self.data[self.position : self.position + count]
        if len(part) < count:
            raise ValueError(f"{count} bytes wanted at offset {self.position}, {len(part)} left")
        self.position += count
        return part

    def unpack(self, kind):
        return struct.unpack(">" + kind, self.take(struct.calcsize(">" + kind)))[0]


def encode_blob(message, values, timestamp_ns, sequence):
    """Header and tagged value in one piece."""
    return HEADER.pack(fingerprint(message), timestamp_ns, sequence) + encode_value(values)


def decode_blob(message, blob):
    timestamp_ns, sequence = decode_header(message, blob[: HEADER.size])
    values, _ = decode_value(blob[HEADER.size :])
    if not isinstance(values, list):
        raise ValueError("single blob holds no field list")
    return timestamp_ns, sequence, build(message, values)


# --- Typed notation (WIRE "golden/") ---


def to_typed(value, digest=False):
    """The typed notation of `value`; with `digest`, array data as its SHA-256."""
    if value is None:
        return {"nil": None}
    if isinstance(value, bool):
        return {"bool": value}
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, float):
        return {"float": struct.pack(">d", value).hex(), "repr": repr(value)}
    if isinstance(value, str):
        return {"str": value}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, (list, tuple)):
        return {"list": [to_typed(item, digest) for item in value]}
    if isinstance(value, dict):
        return {"map": [[to_typed(key), to_typed(item, digest)] for key, item in value.items()]}
    if isinstance(value, np.ndarray):
        return {"array": {**typed_shape(value), **typed_data(value, digest)}}
    if isinstance(value, Tensor):
        extra = {"device": value.device, "requires_grad": value.requires_grad}
        return {"tensor": {**typed_shape(value.array), **extra, **typed_data(value.array, digest)}}
    raise TypeError(f"{type(value).__name__} has no typed notation")


def typed_shape(array):
    return {"dtype": array.dtype.str, "shape": list(array.shape)}


def typed_data(array, digest):
    data = array.tobytes()
    return {"sha256": hashlib.sha256(data).hexdigest()} if digest else {"data": data.hex()}


def from_typed(typed):
    """The value that a typed notation stands for."""
    kind = next(iter(typed))
    inner = typed[kind]
    if kind in ("nil", "bool", "str"):
        return inner
    if kind == "int":
        return int(inner)
    if kind == "float":
        return struct.unpack(">d", bytes.fromhex(inner))[0]
    if kind == "bytes":
        return bytes.fromhex(inner)
    if kind == "list":
        return [from_typed(item) for item in inner]
    if kind == "map":
        return {from_typed(key): from_typed(item) for key, item in inner}
    if kind in ("array", "tensor"):
        array = array_from(bytes.fromhex(inner["data"]), inner["dtype"], inner["shape"])
        return array if kind == "array" else Tensor(array, inner["device"], inner["requires_grad"])
    raise ValueError(f"unknown kind {kind!r} in typed notation")


# --- Discovery (WIRE 6) ---

REGISTER, UNREGISTER, LOOKUP, LIST_TOPICS, PING, SHUTDOWN = 1, 2, 3, 4, 5, 99
OK, NOT_FOUND, ALREADY_EXISTS, ERROR = range(4)
TOPIC_KEYS = ("name", "address", "message_type", "fingerprint", "publisher_node")
DEFAULT_DISCOVERY = "ipc:///tmp/cortex/discovery.sock"


class DiscoveryError(Exception):
    """No usable answer from the daemon."""


def encode_topic(info):
    return msgpack.packb({key: info[key] for key in TOPIC_KEYS}, use_bin_type=True)


def decode_topic(data):
    """A topic's map: exactly the five keys, as a Python dataclass made from `**map` wants it."""
    info = msgpack.unpackb(data, raw=False)
    if not isinstance(info, dict) or set(info) != set(TOPIC_KEYS):
        raise ValueError(f"topic_info must hold exactly {', '.join(TOPIC_KEYS)}: {info!r}")
    return {key: info[key] for key in TOPIC_KEYS}


def encode_request(command, topic_name=None, topic_info=None):
    request = {"command": command, "topic_name": topic_name}
    if topic_info is not None:
        request["topic_info"] = encode_topic(topic_info)
    return msgpack.packb(request, use_bin_type=True)


def decode_request(data):
    """`(command, topic_name, topic_info)`; keys that Python does not know are ignored."""
    request = msgpack.unpackb(data, raw=False)
    if not isinstance(request, dict):
        raise ValueError("request is not a map")
    if request.get("command") not in (REGISTER, UNREGISTER, LOOKUP, LIST_TOPICS, PING, SHUTDOWN):
        raise ValueError(f"{request.get('command')!r} is not a command")
    info = request.get("topic_info")
    return request["command"], request.get("topic_name"), None if info is None else decode_topic(info)


def encode_response(status, message="", topic_info=None, topics=None):
    response = {"status": status, "message": message}
    if topic_info is not None:
        response["topic_info"] = encode_topic(topic_info)
    if topics:
        response["topics"] = [encode_topic(info) for info in topics]
    return msgpack.packb(response, use_bin_type=True)


def decode_response(data):
    """A map of status, message, topic_info and topics; the last two are None where absent."""
    response = msgpack.unpackb(data, raw=False)
    info, topics = response.get("topic_info"), response.get("topics")
    return {
        "status": response["status"],
        "message": response["message"],
        "topic_info": None if info is None else decode_topic(info),
        "topics": None if topics is None else [decode_topic(item) for item in topics],
    }


class DiscoveryClient:
    """One REQ socket; a request that gets no answer in time costs the socket."""

    def __init__(self, context, address, timeout=5.0):
        self.context = context
        self.address = address
        self.timeout = timeout
        self.socket = None

    def request(self, command, topic_name=None, topic_info=None):
        return self.exchange(encode_request(command, topic_name, topic_info))

    def exchange(self, request):
        """Send the bytes of a request, return the decoded response."""
        if self.socket is None:
            self.socket = self.context.socket(zmq.REQ)
            self.socket.linger = 0
            self.socket.connect(self.address)
        self.socket.send(request)
        if not self.socket.poll(self.timeout * 1000):
            self.close()
            raise DiscoveryError(f"no answer from {self.address} within {self.timeout:g} s")
        reply = self.socket.recv()
        try:
            return decode_response(reply)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DiscoveryError(f"unusable answer from {self.address}: {error}") from error

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


# --- Shared by all scripts ---


class Ending:
    """Readable as a file from SIGTERM, SIGINT or the end of stdin on."""

    def __init__(self):
        self.end, trigger = os.pipe()
        os.set_blocking(trigger, False)
        signal.set_wakeup_fd(trigger, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        threading.Thread(target=self.watch_stdin, args=(trigger,), daemon=True).start()

    @staticmethod
    def watch_stdin(trigger):
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        os.write(trigger, b"\0")

    def fileno(self):
        return self.end

    def wait(self, seconds):
        """Whether the end came within `seconds`."""
        return bool(select.select([self.end], [], [], max(seconds, 0))[0])

    def before(self, socket, seconds):
        """Whether the end or the deadline came before something to read on `socket`."""
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(self.end, zmq.POLLIN)
        ready = dict(poller.poll(None if seconds is None else max(seconds, 0) * 1000))
        return self.end in ready or not ready


class Parser(argparse.ArgumentParser):
    """Bad use is one line on stderr."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def emit(**fields):
    print(json.dumps(fields), flush=True)


def make_folder(address):
    """Make the folder of an ipc address."""
    if address.startswith("ipc://"):
        os.makedirs(os.path.dirname(address[len("ipc://") :]) or ".", exist_ok=True)


def remove_socket_file(address):
    if address.startswith("ipc://"):
        try:
            os.unlink(address[len("ipc://") :])
        except FileNotFoundError:
            pass


def run(main):
    """Run `main`; an error outside of it is one line on stderr."""
    try:
        sys.exit(main())
    except (OSError, ValueError, zmq.ZMQError, DiscoveryError) as error:
        sys.exit(f"{os.path.basename(sys.argv[0])}: {error}")


# --- Self test ---


def without_repr(typed):
    if isinstance(typed, dict):
        return {key: without_repr(item) for key, item in typed.items() if not ("float" in typed and key == "repr")}
    return [without_repr(item) for item in typed] if isinstance(typed, list) else typed


def check(name, found, expected):
    if found != expected:
        raise ValueError(f"{name}: found {found!r}, expected {expected!r}")


def selftest(folder):
    """Encode and decode every golden case; the number of cases of each file."""

    def cases(name):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            loaded = json.load(file)["cases"]
        counts[name.removesuffix(".json")] = len(loaded)
        return loaded

    def typed(value):
        return without_repr(to_typed(value))

    counts = {}
    for case in cases("messages.json"):
        name, message = case["name"], case["message"]
        values = [from_typed(field["value"]) for field in case["fields"]]
        numbers = int(case["timestamp_ns"]), int(case["sequence"])
        frames = [bytes.fromhex(frame) for frame in case["frames"]]
        blob = bytes.fromhex(case["single_blob"])
        check(name, [field["name"] for field in case["fields"]], STANDARD[message])
        check(name, encode_message(message, values, *numbers), frames)
        check(name, encode_blob(message, values, *numbers), blob)
        for received in (frames, [blob]):
            *found, decoded = decode_message(message, received)
            check(name, tuple(found), numbers)
            check(name, [typed(value) for value in decoded], [without_repr(f["value"]) for f in case["fields"]])
    for case in cases("values.json"):
        data = bytes.fromhex(case["serialize"])
        value, consumed = decode_value(data + b"rest")
        check(case["name"], encode_value(from_typed(case["value"])), data)
        check(case["name"], (typed(value), consumed), (without_repr(case["value"]), len(data)))
    for case in cases("numpy.json"):
        data = bytes.fromhex(case["serialize_numpy"])
        check(case["name"], encode_array(from_typed(case["value"])), data)
        check(case["name"], typed(decode_array(Reader(data))), case["value"])
    for case in cases("fingerprints.json"):
        check(case["message"], fingerprint(case["message"]), int(case["wire_fingerprint"], 16))
        check(case["message"], STANDARD[case["message"]], [field.split(":")[0] for field in case["fields"]])
    for number, case in enumerate(cases("discovery.json")):
        name, data = f"discovery case {number}", bytes.fromhex(case["bytes"])
        info, topics = read_topic(case["topic_info"]), case.get("topics")
        topics = None if topics is None else [read_topic(topic) for topic in topics]
        if case["kind"] == "request":
            fields = case["command"], case["topic_name"], info
            check(name, encode_request(*fields), data)
            check(name, decode_request(data), fields)
        else:
            check(name, encode_response(case["status"], case["message"], info, topics), data)
            found = decode_response(data)
            check(name, list(found.values()), [case["status"], case["message"], info, topics or None])
    topic = dict.fromkeys(TOPIC_KEYS, "")
    for refused in ({**topic, "lease": 1}, {"name": ""}):
        try:
            decode_topic(msgpack.packb(refused))
        except ValueError:
            continue
        raise ValueError(f"accepted as a topic: {refused}")
    return counts


def read_topic(info):
    """A topic from JSON, where the fingerprint is a decimal string or a number."""
    return None if info is None else {**info, "fingerprint": int(info["fingerprint"])}


def write_topic(info):
    """A topic for JSON: the fingerprint as a decimal string, as in golden/discovery.json."""
    return None if info is None else {**info, "fingerprint": str(info["fingerprint"])}


def main():
    parser = Parser(description="Cortex codec in Python: self test")
    parser.add_argument("command", choices=["selftest"])
    parser.add_argument("golden", help="folder of the golden files")
    arguments = parser.parse_args()
    emit(event="selftest", **selftest(arguments.golden))


if __name__ == "__main__":
    run(main)
