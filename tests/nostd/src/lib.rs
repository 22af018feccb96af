//! Calls every public function of `cortex-wire` that encodes or decodes.
//!
//! A binary that calls [`everything`] and whose panic handler cannot be linked links only if none
//! of these functions can panic. Formatting (`Display`, `Debug`) is for people and not among them;
//! fingerprints are computed by the compiler.
//!
//! Longer than other files, because a list of calls is easier to compare with a list of functions in
//! one piece.

#![no_std]

use core::hint::black_box;

use cortex_wire::discovery::{
    Command, Request, RequestExt, Response, ResponseExt, Status, TopicInfo, Topics,
};
use cortex_wire::msgpack::{Reader, Writer};
use cortex_wire::{
    ArrayView, Buffers, Decode, DecodeErrorKind, Decoder, DescriptorKey, DiscoveryKey, Dtype,
    Element, Encode, EncodeError, EncodeErrorKind, Encoder, Event, Frames, Header, Int, Key, List,
    Map, MapOf, Message, SequenceTracker, Shape, TensorView, Type, TypedArray, Value, Walk, blob,
    decode, decode_bare, decode_ignoring_fingerprint, encode, encode_plain, encoded_len, find_type,
    standard,
};

mod arrays;
pub mod link;
#[cfg(feature = "analysed")]
pub mod owned;
#[cfg(feature = "size")]
pub mod size;
mod streams;

/// Calls them all.
pub fn everything() {
    let input = input();
    header(input);
    standard_messages(input);
    message::<Every<'_>>(input);
    message::<Empty>(input);
    built_messages();
    values(input);
    arrays::arrays(input);
    arrays::dtypes(input);
    blobs(input);
    discovery(input);
    reader(input);
    writer();
    encoder_and_decoder(input);
}

/// Keeps the compiler from leaving out what made `value`.
fn used<T>(value: T) {
    drop(black_box(value));
}

/// Bytes of which the compiler knows nothing, not even how many.
fn input() -> &'static [u8] {
    black_box(&[0; 256][..])
}

/// A field of each type that needs no allocator.
#[derive(Clone, Message)]
#[cortex(class = "proof.Every", accept = [1, 2], after_decode = Every::checked)]
struct Every<'a> {
    u8: u8,
    u16: u16,
    u32: u32,
    u64: u64,
    usize: usize,
    i8: i8,
    i16: i16,
    i32: i32,
    i64: i64,
    isize: isize,
    int: Int,
    bool: bool,
    f32: f32,
    f64: f64,
    str: &'a str,
    bytes: &'a [u8],
    text: heapless::String<8>,
    option: Option<u16>,
    optional_text: Option<&'a str>,
    three: [f32; 3],
    six_bytes: [u8; 6],
    matrix: [[f64; 2]; 2],
    list_of_text: heapless::Vec<&'a str, 4>,
    list_of_bytes: heapless::Vec<u8, 4>,
    array: ArrayView<'a>,
    typed: TypedArray<'a, f64>,
    typed_list: heapless::Vec<TypedArray<'a, u8>, 2>,
    tensor: TensorView<'a>,
    value: Value<'a>,
    list: List<'a>,
    map: Map<'a>,
    numbers: MapOf<'a, f64>,
    arrays: MapOf<'a, ArrayView<'a>>,
    typed_arrays: MapOf<'a, TypedArray<'a, i16>>,
    tensors: MapOf<'a, TensorView<'a>>,
    values: MapOf<'a, Value<'a>>,
    #[cortex(default)]
    missing: Option<TensorView<'a>>,
    #[cortex(default = 7)]
    defaulted: i8,
}

impl Every<'_> {
    fn checked(&mut self) {
        self.u8 = self.u8.saturating_add(1);
    }
}

/// A message without fields.
#[derive(Message)]
#[cortex(class = "proof.Empty", fingerprint = 7)]
struct Empty {}

fn header(input: &[u8]) {
    if let Ok(header) = black_box(Header::decode(input)) {
        used(header.encode());
    }
}

fn standard_messages(input: &[u8]) {
    message::<standard::StringMessage<'_>>(input);
    message::<standard::IntMessage>(input);
    message::<standard::FloatMessage>(input);
    message::<standard::BytesMessage<'_>>(input);
    message::<standard::DictMessage<'_>>(input);
    message::<standard::ListMessage<'_>>(input);
    message::<standard::ArrayMessage<'_>>(input);
    message::<standard::MultiArrayMessage<'_>>(input);
    message::<standard::TensorMessage<'_>>(input);
    message::<standard::MultiTensorMessage<'_>>(input);
    message::<standard::ImageMessage<'_>>(input);
    message::<standard::PointCloudMessage<'_>>(input);
    message::<standard::PoseMessage<'_>>(input);
    message::<standard::TransformMessage<'_>>(input);
    message::<standard::TimestampMessage>(input);
    message::<standard::HeaderMessage<'_>>(input);
    if let Some(info) = find_type(black_box(standard::TYPES), black_box(7)) {
        used((info.name(), info.accepts(black_box(8))));
    }
}

/// Every way in which a message is read, and each that was read written again in every way.
fn message<M: Message>(input: &[u8]) {
    let one: [&[u8]; 1] = [input];
    let four: [&[u8]; 4] = [input; 4];
    let slice: &[&[u8]] = black_box(&four);
    let mut list = heapless::Vec::<&[u8], 4>::new();
    used(list.extend_from_slice(slice));
    for frames in black_box([&one as &(dyn Frames + '_), &four, &slice, &list]) {
        if let Ok(message) = decode::<M>(frames) {
            write(&message);
        }
        if let Ok(message) = decode_bare::<M>(input, frames) {
            write(&message);
        }
        if let Ok(message) = decode_ignoring_fingerprint::<M>(frames) {
            write(&message);
        }
    }
    if let Ok((header, message)) = blob::decode::<M>(input) {
        used(header);
        write(&message);
    }
    if let Ok((header, message)) = blob::decode_ignoring_fingerprint::<M>(input) {
        used(header);
        write(&message);
    }
}

fn write<M: Message>(message: &M) {
    let mut out = [0; 64];
    let out = black_box(&mut out[..]);
    let mut buffers = heapless::Vec::<&[u8], 2>::new();
    used(encode(message, out, &mut buffers));
    used(&buffers);
    used(encoded_len(message));
    used(encode_plain(message, &mut [0; 8]));
    used(blob::encode(&Header::default(), message, out));
}

/// Messages as a sender makes them, with values in slices.
fn built_messages() {
    let items = black_box([1.0_f32, 2.0, 3.0, 4.0]);
    let Ok(array) = ArrayView::from_slice(&items, black_box(&[2, 2][..])) else { return };
    let tensor = TensorView { device: black_box("cuda:0"), ..TensorView::cpu(array) };
    let inner = black_box([Value::Nil, Value::from(array), Value::from(tensor)]);
    let pairs = black_box([("list", Value::from(&inner[..])), ("int", Value::from(-7))]);
    let values = black_box([Value::from(&pairs[..]), Value::from(&b"bytes"[..])]);
    let arrays = black_box([("a", array)]);
    let tensors = black_box([("t", tensor)]);
    write(&standard::DictMessage { data: Map::from(&pairs[..]) });
    write(&standard::ListMessage { data: List::from(&values[..]) });
    write(&standard::MultiArrayMessage { arrays: MapOf::from(&arrays[..]), frame_id: "f" });
    write(&standard::MultiTensorMessage { tensors: MapOf::from(&tensors[..]) });
    let image = standard::ImageMessage::new(array, black_box("mono8"));
    write(&image);
    streams::streams(input(), &image);
    for value in &values {
        let mut out = [0; 64];
        used(blob::encode_value(value, black_box(&mut out[..])));
    }
    used(Map::from(&pairs[..]).get(black_box("int")));
    used(MapOf::from(&arrays[..]).get(black_box("a")));
    used(List::from(&values[..]).get(black_box(1)));
}

fn values(input: &[u8]) {
    let frames: [&[u8]; 3] = [input; 3];
    if let Ok(walk) = Walk::new(black_box(&frames)) {
        for event in walk {
            match black_box(event) {
                Ok(Event::Value(each)) => value(each),
                Ok(Event::Key(key)) => {
                    used(key.as_str());
                }
                _ => {}
            }
        }
    }
    let Ok(mut input) = Decoder::new(&frames) else { return };
    if let Ok(each) = Value::decode(&mut input) {
        value(each);
    }
    if let Ok(each) = List::decode(&mut input) {
        list(each);
    }
    if let Ok(each) = Map::decode(&mut input) {
        map(each);
    }
    if let Ok(each) = MapOf::<Int>::decode(&mut input) {
        map_of(each);
    }
    if let Ok(each) = MapOf::<&str>::decode(&mut input) {
        map_of(each);
    }
    if let Ok(each) = MapOf::<Value<'_>>::decode(&mut input) {
        map_of(each);
    }
    if let Ok(each) = MapOf::<ArrayView<'_>>::decode(&mut input) {
        map_of(each);
    }
    if let Ok(each) = MapOf::<TensorView<'_>>::decode(&mut input) {
        map_of(each);
    }
    if let Ok(each) = MapOf::<heapless::Vec<u8, 4>>::decode(&mut input) {
        map_of(each);
    }
}

fn value(value: Value<'_>) {
    used(value.ty());
    used(value == black_box(Value::Nil));
    used((value.as_bool(), value.as_i64(), value.as_u64(), value.as_f64()));
    used((value.as_str(), value.as_bytes(), value.as_list(), value.as_map()));
    used((value.as_array(), value.as_tensor()));
    match value {
        Value::List(each) => list(each),
        Value::Map(each) => map(each),
        Value::Array(each) => arrays::array(each),
        Value::Tensor(each) => arrays::array(each.array),
        _ => {}
    }
}

fn list(list: List<'_>) {
    used((list.len(), list.is_empty(), list.get(black_box(1))));
    used(list == black_box(List::default()));
    for item in &list {
        used(item);
    }
    for item in list {
        used((item.ty(), list.iter().size_hint()));
    }
}

fn map(map: Map<'_>) {
    used((map.len(), map.is_empty(), map.get(black_box("key"))));
    used(map == black_box(Map::default()));
    for pair in &map {
        used(pair);
    }
    for (key, item) in map {
        used((key == Key::Str("key"), item.ty(), map.iter().size_hint()));
    }
}

fn map_of<'a, T: Decode<'a> + Encode + Clone + PartialEq>(map: MapOf<'a, T>) {
    used((map.len(), map.is_empty()));
    used(&map.get(black_box("key")));
    used(map == black_box(MapOf::default()));
    for (key, item) in map {
        used((key, &item, map.iter().size_hint()));
    }
}

fn blobs(input: &[u8]) {
    let mut out = [0; 64];
    let out = black_box(&mut out[..]);
    if let Ok((header, fields)) = blob::decode_any(input) {
        used(header);
        list(fields);
    }
    if let Ok((each, len)) = blob::decode_value(input) {
        used(len);
        value(each);
        used(blob::encode_value(&each, out));
    }
    if let Ok((each, len)) = blob::decode_array(input) {
        used(len);
        arrays::array(each);
        used(blob::encode_array(&each, out));
    }
}

fn discovery(input: &[u8]) {
    let mut out = [0; 64];
    let out = black_box(&mut out[..]);
    let info = TopicInfo {
        name: black_box("/camera"),
        address: black_box("ipc:///tmp/camera"),
        message_type: black_box("ImageMessage"),
        fingerprint: black_box(1),
        publisher_node: black_box("node"),
    };
    if let Ok(request) = Request::decode(input) {
        used((request.encode(out), request.command.code(), request == black_box(request)));
    }
    let request = Request {
        topic_name: black_box(Some("/camera")),
        topic_info: black_box(Some(info)),
        ext: black_box(RequestExt { layout: Some(1), lease_ms: Some(2), shared: true }),
        ..Request::new(black_box(Command::RegisterTopic))
    };
    used(request.encode(out));
    if let Ok(response) = Response::decode(input) {
        used((response.status.code(), response.topics.len(), response == black_box(response)));
        for topic in response.topics {
            used(topic);
        }
        used(response.encode(out));
    }
    let topics = black_box([info, info]);
    let response = Response {
        topic_info: black_box(Some(info)),
        topics: Topics::from(&topics[..]),
        ext: black_box(ResponseExt { epoch: Some(1), layout: Some(2) }),
        ..Response::new(black_box(Status::Ok), black_box("fine"))
    };
    used(response.encode(out));
}

fn reader(input: &[u8]) {
    let mut reader = black_box(Reader::new(input));
    used(Reader::new_at(input, black_box(7)).error(DecodeErrorKind::ReservedMarker));
    used(reader.read().map(|token| token.ty()));
    used(reader.read_nil());
    used(reader.read_bool());
    used(reader.read_f64());
    used(reader.read_str());
    used(reader.read_bytes());
    used(reader.read_list());
    used(reader.read_map());
    used(reader.skip());
    used(reader.skip_items(black_box(9)));
    if let Ok(int) = reader.read_int() {
        used((int.to_f64(), i128::from(int)));
        used((u8::try_from(int), u16::try_from(int), u32::try_from(int)));
        used((u64::try_from(int), usize::try_from(int), isize::try_from(int)));
        used((i8::try_from(int), i16::try_from(int), i32::try_from(int), i64::try_from(int)));
    }
    used((reader.offset(), reader.rest()));
    used(reader.finish());
}

fn writer() {
    let mut out = [0; 64];
    let mut writer = Writer::new(black_box(&mut out[..]));
    writer.write_nil();
    writer.write_bool(black_box(true));
    writer.write_int(black_box(1_u64));
    writer.write_int(black_box(-1_i64));
    writer.write_f64(black_box(1.0));
    used(writer.write_str(black_box("text")));
    used(writer.write_bytes(black_box(b"bytes")));
    used(writer.write_bytes_head(black_box(5)));
    used(writer.write_list(black_box(5)));
    used(writer.write_map(black_box(5)));
    used(writer.write_extension(black_box(1), black_box(5)));
    writer.write_raw(black_box(b"raw"));
    used((writer.len(), writer.is_empty()));
    used(writer.finish());
}

/// A list of buffers of one's own.
struct Last<'b>(&'b [u8]);

impl<'b> Buffers<'b> for Last<'b> {
    fn push(&mut self, buffer: &'b [u8]) -> Result<(), &'b [u8]> {
        self.0 = buffer;
        Ok(())
    }
}

fn encoder_and_decoder(input: &[u8]) {
    let frames: [&[u8]; 3] = [input; 3];
    let Ok(mut decoder) = Decoder::new(&frames) else { return };
    let mut out = [0; 64];
    let mut last = Last(&[]);
    let mut encoder = Encoder::new(black_box(&mut out[..]), &mut last);
    if let Ok(array) = decoder.read_array() {
        used(encoder.write_array(&array));
    }
    if let Ok(tensor) = decoder.read_tensor() {
        used(encoder.write_tensor(&tensor));
    }
    used(decoder.reader().read());
    if let Ok(mut fields) = decoder.fields(black_box(1), black_box(2)) {
        used(fields.next::<u8>());
        used(fields.next_or(|| 7_u8));
    }
    let inside = encoder.nested(|encoder| -> Result<(), EncodeError> {
        encoder.writer().write_list(1)?;
        encoder.check_key(black_box("key"))
    });
    used(inside);
    used(decoder.count_copy(black_box(9), black_box(9)));
    used(decoder.with_copy_limit(black_box(7)).finish());
    used(encoder.finish());
    used(last.0);
    names_and_errors();
}

/// Names of types and keys, integers, and errors.
fn names_and_errors() {
    let ty = black_box(Type::Array);
    used((ty.as_str(), ty.python_name(black_box(true))));
    used(black_box(DescriptorKey::Kind).as_str());
    used(black_box(DiscoveryKey::Name).as_str());
    used(EncodeError::new(black_box(EncodeErrorKind::TooLong)));
    used((Int::from(black_box(1_u8)), Int::from(black_box(1_u16)), Int::from(black_box(1_u32))));
    used((Int::from(black_box(1_u64)), Int::from(black_box(1_usize)), Int::from(black_box(1_i8))));
    used((Int::from(black_box(1_i16)), Int::from(black_box(1_i32)), Int::from(black_box(1_i64))));
    used(Int::from(black_box(1_isize)));
    let mut tracker = SequenceTracker::default();
    let header = Header { sequence: black_box(3), ..Header::default() };
    tracker.moved();
    tracker.record_rejected(&header);
    used(tracker.step(&header));
}
