//! Malformed input (`WIRE.md` section 8): each kind is rejected with an error that names the fault
//! and its byte offset.

use std::thread;

use cortex_tests::golden::{self, unhex};
use cortex_wire::discovery::{Request, Response};
use cortex_wire::msgpack::{Reader, Token};
use cortex_wire::standard::*;
use cortex_wire::{
    ArrayView, Decode, DecodeError, DecodeErrorKind as Kind, Decoder, DescriptorKey, DiscoveryKey,
    DtypeError, Encode, EncodeError, EncodeErrorKind, Encoder, Field, Frames, Header, List,
    MAX_DEPTH, Map, Message, OwnedValue, TensorView, Type, Value, Walk, blob, decode, decode_bare,
    encode,
};
use rmpv::Value as Item;

/// The standard message of a name, decoded and dropped.
fn decode_named<'a>(name: &str, frames: &'a (dyn Frames + 'a)) -> Result<(), DecodeError> {
    match name {
        "StringMessage" => decode::<StringMessage<'_>>(frames).map(drop),
        "IntMessage" => decode::<IntMessage>(frames).map(drop),
        "FloatMessage" => decode::<FloatMessage>(frames).map(drop),
        "BytesMessage" => decode::<BytesMessage<'_>>(frames).map(drop),
        "DictMessage" => decode::<DictMessage<'_>>(frames).map(drop),
        "ListMessage" => decode::<ListMessage<'_>>(frames).map(drop),
        "ArrayMessage" => decode::<ArrayMessage<'_>>(frames).map(drop),
        "MultiArrayMessage" => decode::<MultiArrayMessage<'_>>(frames).map(drop),
        "TensorMessage" => decode::<TensorMessage<'_>>(frames).map(drop),
        "MultiTensorMessage" => decode::<MultiTensorMessage<'_>>(frames).map(drop),
        "ImageMessage" => decode::<ImageMessage<'_>>(frames).map(drop),
        "PointCloudMessage" => decode::<PointCloudMessage<'_>>(frames).map(drop),
        "PoseMessage" => decode::<PoseMessage<'_>>(frames).map(drop),
        "TransformMessage" => decode::<TransformMessage<'_>>(frames).map(drop),
        "TimestampMessage" => decode::<TimestampMessage>(frames).map(drop),
        "HeaderMessage" => decode::<HeaderMessage<'_>>(frames).map(drop),
        other => panic!("no standard message is called {other}"),
    }
}

fn packed(item: &Item) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, item).expect("a vector takes everything");
    out
}

fn map(pairs: &[(&str, Item)]) -> Item {
    Item::Map(pairs.iter().map(|(key, value)| (Item::from(*key), value.clone())).collect())
}

fn list(items: impl IntoIterator<Item = impl Into<Item>>) -> Item {
    Item::Array(items.into_iter().map(Into::into).collect())
}

/// A whole descriptor of a tensor, which is one of an array as well but for its kind.
fn descriptor(kind: &str) -> Vec<(&'static str, Item)> {
    vec![
        ("__cortex_oob__", kind.into()),
        ("buffer", 0.into()),
        ("dtype", "<u2".into()),
        ("shape", list([2, 3])),
        ("device", "cpu".into()),
        ("requires_grad", false.into()),
    ]
}

/// The descriptor with the value of one key exchanged.
fn with(kind: &str, key: &str, value: impl Into<Item>) -> Vec<(&'static str, Item)> {
    let mut pairs = descriptor(kind);
    pairs.iter_mut().find(|pair| pair.0 == key).expect("a known key").1 = value.into();
    pairs
}

/// Metadata `[item]` with a buffer of 12 bytes, read as an array, a tensor and anything: all three
/// fail in the same way, which is returned.
#[track_caller]
fn refused(metadata: &[u8]) -> DecodeError {
    let frames = [&[0; 24][..], metadata, &[0; 12]];
    let error = Walk::new(&frames).unwrap().find_map(Result::err).expect("the walk fails");
    assert_eq!(field::<Value<'_>>(metadata), Err(error));
    assert_eq!(field::<OwnedValue>(metadata).unwrap_err(), error);
    error
}

/// The one field of `metadata`.
fn field<'a, T: Decode<'a>>(metadata: &'a [u8]) -> Result<T, DecodeError> {
    // The value borrows from this list of frames alone.
    let frames: &[&[u8]; 3] = Box::leak(Box::new([&[0; 24], metadata, &[0; 12]]));
    let mut input = Decoder::new(frames)?;
    let value = input.fields(1, 1)?.next()?;
    input.finish()?;
    Ok(value)
}

/// As an array and as a tensor, beside what [`refused`] tries.
#[track_caller]
fn refused_descriptor(pairs: &[(&str, Item)]) -> (DecodeError, Vec<u8>) {
    let metadata = packed(&list([map(pairs)]));
    let error = refused(&metadata);
    assert_eq!(field::<ArrayView<'_>>(&metadata), Err(error));
    assert_eq!(field::<TensorView<'_>>(&metadata), Err(error));
    (error, metadata)
}

/// Where the value of the last entry with this key stands.
#[track_caller]
fn value_of(metadata: &[u8], key: &str) -> usize {
    let key = key.as_bytes();
    metadata.windows(key.len()).rposition(|part| part == key).expect("the key is there") + key.len()
}

const fn at(offset: usize, kind: Kind) -> DecodeError {
    DecodeError::new(kind, offset)
}

/// Where the items of some MessagePack begin.
fn item_starts(input: &[u8]) -> Vec<usize> {
    let mut reader = Reader::new(input);
    let mut starts = Vec::new();
    while !reader.rest().is_empty() {
        starts.push(reader.offset());
        reader.read().expect("the whole is valid");
    }
    starts
}

#[track_caller]
fn assert_truncated(error: DecodeError, len: usize) {
    let Kind::Truncated { needed, available } = error.kind else { panic!("{error} of {len}") };
    assert!(needed > available as u64, "{error}");
    assert!(error.offset + available <= len, "{error} of {len}");
}

#[test]
fn metadata_truncated_at_any_byte_names_the_item_that_is_cut() {
    for case in golden::cases("messages.json") {
        let name = case["message"].as_str().expect("a name");
        let frames = golden::frames(&case);
        let starts = item_starts(&frames[1]);
        for len in 0..frames[1].len() {
            let mut cut: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
            cut[1] = &frames[1][..len];
            let error = decode_named(name, &cut).expect_err("it is cut");
            assert_truncated(error, len);
            assert!(starts.contains(&error.offset), "{}: {error}", case["name"]);
            let walked = Walk::new(&cut).unwrap().find_map(Result::err);
            assert_truncated(walked.expect("it is cut"), len);
        }
    }
}

#[test]
fn blobs_truncated_at_any_byte_name_the_part_that_is_cut() {
    for case in golden::cases("messages.json") {
        let name = case["message"].as_str().expect("a name");
        let whole = unhex(case["single_blob"].as_str().expect("a blob"));
        for len in 0..whole.len() {
            let truncated = |needed: usize, from: usize| {
                at(from, Kind::Truncated { needed: needed as u64, available: len - from })
            };
            let expected = match len {
                ..24 => at(0, Kind::HeaderLength { found: len }),
                24 => truncated(1, 24),
                25..29 => truncated(4, 25),
                _ => truncated(whole.len() - 29, 29),
            };
            assert_eq!(decode_named(name, &[&whole[..len]]), Err(expected));
            assert_eq!(blob::decode_any(&whole[..len]).unwrap_err(), expected);
        }
    }
}

#[test]
fn tagged_values_and_raw_arrays_truncated_at_any_byte_are_refused() {
    for case in golden::cases("values.json") {
        let bytes = unhex(case["serialize"].as_str().expect("hex"));
        for len in 0..bytes.len() {
            assert_truncated(blob::decode_value(&bytes[..len]).unwrap_err(), len);
        }
    }
    for case in golden::cases("numpy.json") {
        let bytes = unhex(case["serialize_numpy"].as_str().expect("hex"));
        for len in 0..bytes.len() {
            assert_truncated(blob::decode_array(&bytes[..len]).unwrap_err(), len);
        }
    }
}

#[test]
fn discovery_bodies_truncated_at_any_byte_are_refused() {
    for case in golden::cases("discovery.json") {
        let bytes = unhex(case["bytes"].as_str().expect("hex"));
        for len in 0..bytes.len() {
            let error = match case["kind"].as_str() {
                Some("request") => Request::decode(&bytes[..len]).unwrap_err(),
                _ => Response::decode(&bytes[..len]).unwrap_err(),
            };
            assert_truncated(error, len);
        }
    }
}

#[test]
fn buffers_that_are_missing_cut_or_too_long_name_their_descriptor() {
    let mut seen = 0;
    for case in golden::cases("messages.json") {
        let name = case["message"].as_str().expect("a name");
        let frames = golden::frames(&case);
        let count = frames.len() - 2;
        if count == 0 {
            continue;
        }
        seen += 1;
        let last = frames.len() - 1;
        let metadata = &frames[1];
        let missing = Kind::BufferMissing { index: count as u64 - 1 };
        let index_at = value_of(metadata, "buffer");
        assert_eq!(decode_named(name, &&frames[..last]), Err(at(index_at, missing)));

        let expected = frames[last].len();
        let mut other = frames.clone();
        other[last].push(0);
        let length =
            |found| at(value_of(metadata, "shape"), Kind::BufferLength { expected, found });
        assert_eq!(decode_named(name, &other), Err(length(expected + 1)));
        if expected > 0 {
            other[last].truncate(expected - 1);
            assert_eq!(decode_named(name, &other), Err(length(expected - 1)));
        }
    }
    assert!(seen > 40, "{seen} golden messages have arrays");
}

#[test]
fn lengths_beyond_the_buffer_are_refused_where_they_stand() {
    // (head, bytes that it claims): strings, bytes, extensions, lists, maps.
    let heads: &[(&[u8], u64)] = &[
        (&[0xa2], 2),
        (&[0xd9, 0xff], 0xff),
        (&[0xda, 0xff, 0xff], 0xffff),
        (&[0xdb, 0xff, 0xff, 0xff, 0xff], 0xffff_ffff),
        (&[0xc4, 0xff], 0xff),
        (&[0xc5, 0xff, 0xff], 0xffff),
        (&[0xc6, 0xff, 0xff, 0xff, 0xff], 0xffff_ffff),
        (&[0xc7, 0xff, 1], 0xff),
        (&[0xc8, 0xff, 0xff, 1], 0xffff),
        (&[0xc9, 0xff, 0xff, 0xff, 0xff, 1], 0xffff_ffff),
        (&[0xd8, 1], 16),
        (&[0x92], 2),
        (&[0xdc, 0xff, 0xff], 0xffff),
        (&[0x82], 4),
        (&[0xde, 0xff, 0xff], 0x1_fffe),
    ];
    for (head, claimed) in heads {
        let metadata = [&[0x92, 0xc0][..], head, b"x"].concat();
        let frames = [&[0; 24][..], &metadata];
        let error = Walk::new(&frames).unwrap().find_map(Result::err);
        let truncated = Kind::Truncated { needed: *claimed, available: 1 };
        assert_eq!(error, Some(at(2, truncated)), "{head:02x?}");
    }
}

#[test]
fn four_billion_items_in_five_bytes_are_refused_at_once() {
    for (head, needed, expected) in [
        (0xdd_u8, 0xffff_ffff_u64, Type::List),
        (0xdf, 0x1_ffff_fffe, Type::Map),
        (0xdb, 0xffff_ffff, Type::Str),
        (0xc6, 0xffff_ffff, Type::Bytes),
    ] {
        let five = [head, 0xff, 0xff, 0xff, 0xff];
        let truncated = Kind::Truncated { needed, available: 0 };
        assert_eq!(Reader::new(&five).read(), Err(at(0, truncated)));
        assert_eq!(Reader::new(&five).skip(), Err(at(0, truncated)));
        let frames = [&[0; 24][..], &five];
        assert_eq!(Walk::new(&frames).unwrap().next(), Some(Err(at(0, truncated))));
        let bare: [&[u8]; 0] = [];
        assert_eq!(decode_bare::<ListMessage<'_>>(&five, &bare).unwrap_err(), at(0, truncated));
        assert_eq!(Request::decode(&five), Err(at(0, truncated)));

        // The same as a field, for every way to read it.
        let metadata = [&[0x91][..], &five].concat();
        assert_eq!(refused(&metadata), at(1, truncated));
        let error = Err(at(1, truncated));
        match expected {
            Type::List => {
                assert_eq!(field::<Vec<u64>>(&metadata).map(drop), error);
                assert_eq!(field::<[f64; 3]>(&metadata).map(drop), error);
                assert_eq!(field::<List<'_>>(&metadata).map(drop), error);
            }
            Type::Map => {
                assert_eq!(field::<Map<'_>>(&metadata).map(drop), error);
                let arrays = field::<cortex_wire::MapOf<'_, ArrayView<'_>>>(&metadata);
                assert_eq!(arrays.map(drop), error);
            }
            Type::Str => assert_eq!(field::<String>(&metadata).map(drop), error),
            _ => assert_eq!(field::<Vec<u8>>(&metadata).map(drop), error),
        }

        // And as a tagged value.
        let tagged = [&[5, 0, 0, 0, 5][..], &five].concat();
        assert_eq!(blob::decode_value(&tagged), Err(at(5, truncated)));
    }
    let length = [6, 0xff, 0xff, 0xff, 0xff];
    let truncated = Kind::Truncated { needed: 0xffff_ffff, available: 0 };
    assert_eq!(blob::decode_value(&length), Err(at(5, truncated)));
}

/// A type that holds itself, written as its author might.
#[derive(Debug, PartialEq)]
struct Tree(Vec<Tree>);

impl Field for Tree {
    const TYPE: Type = Type::List;
}

impl Encode for Tree {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        self.0.encode(out)
    }
}

impl<'a> Decode<'a> for Tree {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Vec::decode(input).map(Tree)
    }
}

#[test]
fn nesting_of_any_depth_is_refused_at_the_limit_on_a_small_stack() {
    const LEVELS: usize = 100_000;
    let lists = vec![0x91; LEVELS];
    let maps = [&[0x91][..], &[0x81, 0xa1, b'k'].repeat(LEVELS)].concat();
    let test = move || {
        let too_deep = at(MAX_DEPTH, Kind::TooDeep);
        assert_eq!(refused(&lists), too_deep);
        assert_eq!(field::<List<'_>>(&lists), Err(too_deep));
        assert_eq!(field::<Vec<OwnedValue>>(&lists), Err(too_deep));
        assert_eq!(field::<heapless::Vec<Vec<Value<'_>>, 4>>(&lists), Err(too_deep));
        assert_eq!(refused(&maps), at(1 + 3 * (MAX_DEPTH - 1), Kind::TooDeep));
        assert_eq!(field::<Map<'_>>(&maps), Err(at(1 + 3 * (MAX_DEPTH - 1), Kind::TooDeep)));

        let tagged = [&[5][..], &(LEVELS as u32).to_be_bytes(), &lists].concat();
        assert_eq!(blob::decode_value(&tagged), Err(at(5 + MAX_DEPTH, Kind::TooDeep)));
        let header = Header { fingerprint: ListMessage::FINGERPRINT, ..Header::default() };
        let whole = [&header.encode()[..], &tagged].concat();
        let too_deep = at(24 + 5 + MAX_DEPTH, Kind::TooDeep);
        assert_eq!(blob::decode_any(&whole), Err(too_deep));
        assert_eq!(blob::decode::<ListMessage<'_>>(&whole), Err(too_deep));

        // Where the content does not matter, it is skipped: in one pass, at any depth.
        let nested = [&lists[1..], &[0xc0]].concat();
        assert_eq!(Reader::new(&nested).skip(), Ok(()));
        let unknown = [&[0x82, 0xa4][..], b"more", &nested, &[0xa7], b"command", &[5]].concat();
        assert!(Request::decode(&unknown).is_ok());
        let mut array = packed(&list([map(&descriptor("numpy"))]));
        array[1] += 1;
        array.extend([&[0xa4][..], b"more", &nested].concat());
        assert!(field::<ArrayView<'_>>(&array).is_ok());
        assert!(field::<Value<'_>>(&array).is_ok());
    };
    let small = thread::Builder::new().stack_size(128 << 10).spawn(test).expect("a thread");
    small.join().expect("no panic");

    // A type that recurses by itself is stopped as well.
    let lists = vec![0x91; LEVELS];
    assert_eq!(field::<Tree>(&lists), Err(at(MAX_DEPTH, Kind::TooDeep)));
}

#[test]
fn what_is_nested_to_the_limit_is_read_written_and_walked_alike() {
    for (levels, fits) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
        let metadata = [&vec![0x91; levels - 1][..], &[0x90]].concat();
        let frames = [&[0; 24][..], &metadata];
        assert_eq!(Walk::new(&frames).unwrap().all(|event| event.is_ok()), fits);
        assert_eq!(field::<List<'_>>(&metadata).is_ok(), fits);
        assert_eq!(field::<Vec<Vec<Value<'_>>>>(&metadata).is_ok(), fits);
        assert_eq!(field::<Tree>(&metadata).is_ok(), fits);
        let bare: [&[u8]; 0] = [];
        let message = decode_bare::<ListMessage<'_>>(&metadata, &bare);
        assert_eq!(message.is_ok(), fits);
        let mut out = [0; 2 * MAX_DEPTH];
        let mut buffers = Vec::new();
        match message {
            Ok(message) => assert_eq!(encode(&message, &mut out, &mut buffers), Ok(&metadata[..])),
            // A depth that is refused in reading is refused in writing, too.
            Err(_) => {
                let mut tree = Tree(Vec::new());
                for _ in 0..levels - 1 {
                    tree = Tree(vec![tree]);
                }
                let mut encoder = Encoder::new(&mut out, &mut buffers);
                assert_eq!(tree.encode(&mut encoder).unwrap_err().kind, EncodeErrorKind::TooDeep);
            }
        }
    }
}

#[test]
fn strings_that_are_not_utf8_are_refused() {
    for text in
        [&[0xff][..], &[0xc3], &[0xed, 0xa0, 0x80], &[0xc0, 0x80], &[0xf5, 0x80, 0x80, 0x80]]
    {
        let metadata = [&[0x91, 0xa0 | text.len() as u8][..], text].concat();
        assert_eq!(refused(&metadata), at(1, Kind::InvalidUtf8));
        assert_eq!(field::<&str>(&metadata), Err(at(1, Kind::InvalidUtf8)));
        assert_eq!(field::<String>(&metadata), Err(at(1, Kind::InvalidUtf8)));
        assert_eq!(field::<Option<&str>>(&metadata), Err(at(1, Kind::InvalidUtf8)));
        assert_eq!(field::<u8>(&metadata), Err(at(1, Kind::InvalidUtf8)));
        // As a key, and in a text of a tagged tensor.
        let key = [&[0x91, 0x81, 0xa0 | text.len() as u8][..], text, &[0xc0]].concat();
        assert_eq!(refused(&key), at(2, Kind::InvalidUtf8));
        let tensor = [&[3, 0, 0, text.len() as u8][..], text, &[0; 9]].concat();
        assert_eq!(blob::decode_value(&tensor), Err(at(4, Kind::InvalidUtf8)));
    }
}

#[test]
fn the_marker_that_is_never_used_is_refused() {
    assert_eq!(refused(&[0x91, 0xc1]), at(1, Kind::ReservedMarker));
    assert_eq!(refused(&[0xc1]), at(0, Kind::ReservedMarker));
    assert_eq!(refused(&[0x91, 0x81, 0xc1, 0xc0]), at(2, Kind::ReservedMarker));
    assert_eq!(field::<f64>(&[0x91, 0xc1]), Err(at(1, Kind::ReservedMarker)));
    assert_eq!(field::<Option<bool>>(&[0x91, 0xc1]), Err(at(1, Kind::ReservedMarker)));
    assert_eq!(Reader::new(&[0xc1]).skip(), Err(at(0, Kind::ReservedMarker)));
    assert_eq!(Response::decode(&[0xc1]), Err(at(0, Kind::ReservedMarker)));
}

#[test]
fn extensions_in_metadata_are_refused() {
    // Also those that stand for arrays in a blob.
    for ty in [1, 2, 5, 0xff] {
        let metadata = [0x91, 0xc7, 3, ty, 0x90, 0x90, 0x90];
        let wrong = |expected| at(1, Kind::WrongType { expected, found: Type::Extension });
        assert_eq!(refused(&metadata), wrong(Type::Any));
        assert_eq!(field::<ArrayView<'_>>(&metadata), Err(wrong(Type::Array)));
        assert_eq!(field::<&[u8]>(&metadata), Err(wrong(Type::Bytes)));
        assert_eq!(field::<Option<i64>>(&metadata), Err(wrong(Type::Int)));
    }
}

#[test]
fn broken_extensions_of_a_blob_are_refused() {
    let read = |ty: i8, payload: &Item| {
        let item = packed(&list([Item::Ext(ty, packed(payload))]));
        let tagged = [&[5][..], &(item.len() as u32).to_be_bytes(), &item].concat();
        let payload_at = tagged.len() - packed(payload).len();
        let error = blob::decode_value(&tagged).expect_err("it is broken");
        (DecodeError { offset: error.offset - payload_at, ..error }, tagged)
    };
    let good = vec![Item::from("<u2"), list([1]), Item::Binary(vec![0; 2])];
    let change = |index: usize, item: Item| {
        let mut items = good.clone();
        items[index] = item;
        Item::Array(items)
    };
    let wrong = |expected, found| Kind::WrongType { expected, found };
    for (payload, expected) in [
        (Item::Nil, at(0, wrong(Type::List, Type::Nil))),
        (list([1, 2]), at(0, Kind::ItemCount { expected: 3, found: 2 })),
        (change(0, 1.into()), at(1, wrong(Type::Str, Type::Int))),
        (change(0, "|O".into()), at(1, Kind::Dtype(DtypeError::Object))),
        (change(1, 1.into()), at(5, wrong(Type::List, Type::Int))),
        (change(1, list([-1])), at(6, Kind::IntegerRange)),
        (change(1, list([2])), at(5, Kind::BufferLength { expected: 4, found: 2 })),
        (change(1, list([usize::MAX as u64, 2])), at(5, Kind::ShapeOverflow)),
        (change(2, "ab".into()), at(7, wrong(Type::Bytes, Type::Str))),
    ] {
        assert_eq!(read(1, &payload).0, expected, "{payload}");
    }
    assert_eq!(
        read(2, &Item::Array(good.clone())).0.kind,
        Kind::ItemCount { expected: 5, found: 3 }
    );
    let unknown = read(3, &Item::Array(good)).0;
    assert_eq!(unknown, at(0, wrong(Type::Array, Type::Extension)));
}

#[test]
fn descriptors_with_a_missing_key_are_refused() {
    for (key, missing) in [
        ("buffer", DescriptorKey::Buffer),
        ("dtype", DescriptorKey::Dtype),
        ("shape", DescriptorKey::Shape),
        ("device", DescriptorKey::Device),
        ("requires_grad", DescriptorKey::RequiresGrad),
    ] {
        let mut pairs = descriptor("torch");
        pairs.retain(|pair| pair.0 != key);
        assert_eq!(refused_descriptor(&pairs).0, at(1, Kind::DescriptorKeyMissing(missing)));
    }
    // Without the key that makes it a descriptor it is a map, which is no array.
    let mut pairs = descriptor("torch");
    pairs.remove(0);
    let metadata = packed(&list([map(&pairs)]));
    assert_eq!(
        field::<ArrayView<'_>>(&metadata),
        Err(at(1, Kind::DescriptorKeyMissing(DescriptorKey::Kind)))
    );
    assert!(field::<Map<'_>>(&metadata).is_ok());
}

#[test]
fn descriptors_with_a_doubled_key_are_refused() {
    for (key, doubled) in [
        ("__cortex_oob__", DescriptorKey::Kind),
        ("buffer", DescriptorKey::Buffer),
        ("dtype", DescriptorKey::Dtype),
        ("shape", DescriptorKey::Shape),
        ("device", DescriptorKey::Device),
        ("requires_grad", DescriptorKey::RequiresGrad),
    ] {
        let mut pairs = descriptor("torch");
        let again = pairs.iter().find(|pair| pair.0 == key).expect("a known key").clone();
        pairs.push(again);
        let (error, metadata) = refused_descriptor(&pairs);
        let value_at = value_of(&metadata, key);
        assert_eq!(error, at(value_at, Kind::DescriptorKeyDuplicate(doubled)));
    }
}

#[test]
fn descriptors_with_a_wrongly_typed_key_are_refused() {
    for (key, expected) in [
        ("__cortex_oob__", Type::Str),
        ("buffer", Type::Int),
        ("dtype", Type::Str),
        ("shape", Type::List),
        ("device", Type::Str),
        ("requires_grad", Type::Bool),
    ] {
        for (item, found) in [
            (Item::Nil, Type::Nil),
            (true.into(), Type::Bool),
            (1.into(), Type::Int),
            (1.5.into(), Type::Float),
            ("text".into(), Type::Str),
            (Item::Binary(vec![1]), Type::Bytes),
            (list([1]), Type::List),
            (map(&[]), Type::Map),
        ] {
            if found == expected {
                continue;
            }
            let (error, metadata) = refused_descriptor(&with("torch", key, item));
            let value_at = value_of(&metadata, key);
            assert_eq!(error, at(value_at, Kind::WrongType { expected, found }), "{key}");
        }
    }
    let (error, metadata) = refused_descriptor(&with("numpy", "shape", list(["2", "3"])));
    let wrong = Kind::WrongType { expected: Type::Int, found: Type::Str };
    assert_eq!(error, at(value_of(&metadata, "shape") + 1, wrong));
}

#[test]
fn descriptors_of_another_kind_or_with_other_keys_than_text_are_refused() {
    for kind in ["jax", "", "Numpy"] {
        let (error, metadata) = refused_descriptor(&descriptor(kind));
        assert_eq!(error, at(value_of(&metadata, "__cortex_oob__"), Kind::DescriptorKind));
    }
    let Item::Map(mut pairs) = map(&descriptor("numpy")) else { unreachable!() };
    pairs.push((7.into(), Item::Nil));
    let metadata = packed(&list([Item::Map(pairs)]));
    let key_at = metadata.len() - 2;
    assert_eq!(refused(&metadata), at(key_at, Kind::MapKey { found: Type::Int }));
    // An array is no tensor, and a tensor no array.
    let array = packed(&list([map(&descriptor("numpy")[..4])]));
    let tensor = packed(&list([map(&descriptor("torch"))]));
    let wrong = |expected, found| Err(at(1, Kind::WrongType { expected, found }));
    assert_eq!(field::<TensorView<'_>>(&array).map(drop), wrong(Type::Tensor, Type::Array));
    assert_eq!(field::<ArrayView<'_>>(&tensor).map(drop), wrong(Type::Array, Type::Tensor));
    assert_eq!(field::<List<'_>>(&array).map(drop), wrong(Type::List, Type::Array));
    assert_eq!(field::<Map<'_>>(&array).map(drop), wrong(Type::Map, Type::Array));
}

#[test]
fn buffer_indices_out_of_range_or_negative_are_refused() {
    for index in [1, 2, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        let (error, metadata) = refused_descriptor(&with("torch", "buffer", index));
        assert_eq!(error, at(value_of(&metadata, "buffer"), Kind::BufferMissing { index }));
    }
    for index in [-1, -2, i64::MIN] {
        let (error, metadata) = refused_descriptor(&with("torch", "buffer", index));
        assert_eq!(error, at(value_of(&metadata, "buffer"), Kind::IntegerRange));
    }
}

#[test]
fn shapes_that_overflow_or_do_not_fit_are_refused() {
    for (shape, kind) in [
        (vec![usize::MAX as u64], Kind::ShapeOverflow),
        (vec![1 << 32, 1 << 32], Kind::ShapeOverflow),
        (vec![1 << 63], Kind::ShapeOverflow),
        (vec![1 << 21; 8], Kind::ShapeOverflow),
        (vec![2, 2], Kind::BufferLength { expected: 8, found: 12 }),
        (vec![], Kind::BufferLength { expected: 2, found: 12 }),
        (vec![0, usize::MAX as u64], Kind::BufferLength { expected: 0, found: 12 }),
        (vec![1; 9], Kind::TooManyDimensions { found: 9 }),
        (vec![1; 70_000], Kind::TooManyDimensions { found: 70_000 }),
    ] {
        let (error, metadata) = refused_descriptor(&with("torch", "shape", list(shape.clone())));
        assert_eq!(error, at(value_of(&metadata, "shape"), kind), "{shape:?}");
    }
    let (error, metadata) = refused_descriptor(&with("numpy", "shape", list([6, -1])));
    assert_eq!(error, at(value_of(&metadata, "shape") + 2, Kind::IntegerRange));
    // In the raw layout.
    let overflow = [&[4][..], &[0xff; 16], &[0, 3], b"<u2"].concat();
    assert_eq!(blob::decode_array(&overflow), Err(at(0, Kind::ShapeOverflow)));
    let dimensions = Kind::TooManyDimensions { found: 255 };
    assert_eq!(blob::decode_array(&[0xff; 1024]), Err(at(0, dimensions)));
}

#[test]
fn dtypes_of_zero_size_objects_or_nonsense_are_refused() {
    for (dtype, why) in [
        ("|S0", DtypeError::ZeroSize),
        ("<U0", DtypeError::ZeroSize),
        ("|V0", DtypeError::ZeroSize),
        ("<f0", DtypeError::ZeroSize),
        ("|O", DtypeError::Object),
        ("|O8", DtypeError::Object),
        ("", DtypeError::Syntax),
        ("f4", DtypeError::Syntax),
        ("=f4", DtypeError::Syntax),
        ("float32", DtypeError::Syntax),
        ("<f4<f4", DtypeError::Syntax),
        ("<f-4", DtypeError::Syntax),
        ("<é8", DtypeError::Syntax),
        ("<M8[", DtypeError::Syntax),
        ("<V99999999999999999999", DtypeError::Syntax),
        ("<i3", DtypeError::Size),
        ("<b2", DtypeError::Size),
        ("<M4", DtypeError::Size),
        ("<U1073741824", DtypeError::Size),
        ("|i4", DtypeError::ByteOrder),
    ] {
        let (error, metadata) = refused_descriptor(&with("torch", "dtype", dtype));
        assert_eq!(error, at(value_of(&metadata, "dtype"), Kind::Dtype(why)), "{dtype:?}");
        let raw = [&[0, 0, dtype.len() as u8][..], dtype.as_bytes()].concat();
        assert_eq!(blob::decode_array(&raw), Err(at(3, Kind::Dtype(why))), "{dtype:?}");
    }
}

#[test]
fn a_users_map_with_the_reserved_key_is_refused_beside_frames() {
    // At the front it is taken for a descriptor, which it is not.
    let metadata = packed(&list([map(&[("__cortex_oob__", "mine".into())])]));
    let missing = Kind::DescriptorKeyMissing(DescriptorKey::Buffer);
    assert_eq!(refused(&metadata), at(1, missing));
    // Behind something nested it cannot be one.
    let user = map(&[("a", list([list([1])])), ("__cortex_oob__", "mine".into())]);
    let metadata = packed(&list([user.clone()]));
    let key_at = value_of(&metadata, "__cortex_oob__") - 15;
    assert_eq!(refused(&metadata), at(key_at, Kind::ReservedKey));
    // Where the type says that it is a map of something.
    let arrays = field::<cortex_wire::MapOf<'_, Value<'_>>>(&metadata).map(drop);
    assert_eq!(arrays, Err(at(key_at, Kind::ReservedKey)));
    type Owned = std::collections::BTreeMap<String, OwnedValue>;
    assert_eq!(field::<Owned>(&metadata), Err(at(key_at, Kind::ReservedKey)));

    // In a tagged value arrays are extensions and the key is a key; writing it beside frames is
    // refused.
    let content = packed(&user);
    let tagged = [&[4][..], &(content.len() as u32).to_be_bytes(), &content].concat();
    let (value, len) = blob::decode_value(&tagged).expect("it decodes");
    assert_eq!(len, tagged.len());
    let mut out = [0; 64];
    assert_eq!(blob::encode_value(&value, &mut out), Ok(&tagged[..]));
    let mut buffers = Vec::new();
    let mut encoder = Encoder::new(&mut out, &mut buffers);
    assert_eq!(value.encode(&mut encoder).unwrap_err().kind, EncodeErrorKind::ReservedKey);
}

#[test]
fn map_keys_of_other_types_are_refused() {
    for (key, found) in [
        (Item::Nil, Type::Nil),
        (true.into(), Type::Bool),
        (1.into(), Type::Int),
        (1.5.into(), Type::Float),
        (list([1]), Type::List),
        (map(&[]), Type::Map),
        (Item::Ext(1, vec![0]), Type::Extension),
    ] {
        let metadata = packed(&list([Item::Map(vec![(key, Item::Nil)])]));
        assert_eq!(refused(&metadata), at(2, Kind::MapKey { found }));
    }
}

#[test]
fn fingerprints_of_other_types_are_refused() {
    let (expected, found) = (StringMessage::FINGERPRINT, IntMessage::FINGERPRINT);
    let header = Header { fingerprint: found, ..Header::default() };
    let frames = [&header.encode()[..], &[0x91, 0xa1, b'x']];
    let mismatch = at(0, Kind::Fingerprint { expected, found });
    assert_eq!(decode::<StringMessage<'_>>(&frames), Err(mismatch));
    let whole = [&header.encode()[..], &[5, 0, 0, 0, 3, 0x91, 0xa1, b'x']].concat();
    assert_eq!(blob::decode::<StringMessage<'_>>(&whole), Err(mismatch));
    assert_eq!(decode::<StringMessage<'_>>(&[&whole]), Err(mismatch));
    // The documented fingerprint is accepted.
    let header = Header { fingerprint: StringMessage::ACCEPT[0], ..Header::default() };
    let frames = [&header.encode()[..], &[0x91, 0xa1, b'x']];
    assert_eq!(decode::<StringMessage<'_>>(&frames), Ok(StringMessage { data: "x" }));
}

#[test]
fn headers_of_another_length_are_refused() {
    let header = Header { fingerprint: StringMessage::FINGERPRINT, ..Header::default() };
    let long = [&header.encode()[..], &[0; 8]].concat();
    for len in (0..long.len()).filter(|&len| len != Header::LEN) {
        let frames = [&long[..len], &[0x91, 0xa1, b'x']];
        let wrong = at(0, Kind::HeaderLength { found: len });
        assert_eq!(decode::<StringMessage<'_>>(&frames), Err(wrong));
    }
    let nothing: [&[u8]; 0] = [];
    assert_eq!(decode::<StringMessage<'_>>(&nothing), Err(at(0, Kind::NoFrames)));
    assert_eq!(Walk::new(&nothing).map(drop), Err(at(0, Kind::NoFrames)));
}

#[test]
fn field_counts_and_trailing_bytes_are_refused() {
    let bare: [&[u8]; 0] = [];
    let read = |metadata| decode_bare::<HeaderMessage<'_>>(metadata, &bare).map(drop);
    let count = |found| at(0, Kind::FieldCount { required: 2, total: 4, found });
    assert_eq!(read(&[0x91, 1]), Err(count(1)));
    assert_eq!(read(&[0x95, 1, 2, 0xa0, 3, 4]), Err(count(5)));
    assert_eq!(read(&[0x92, 1, 2]), Ok(()));
    assert_eq!(read(&[0x92, 1, 2, 3, 4]), Err(at(3, Kind::TrailingBytes { count: 2 })));
    assert_eq!(read(&[]), Err(at(0, Kind::Truncated { needed: 1, available: 0 })));
    let wrong = Kind::WrongType { expected: Type::List, found: Type::Map };
    assert_eq!(read(&[0x80]), Err(at(0, wrong)));
}

#[test]
fn multipart_frames_are_not_taken_for_a_blob() {
    let header = Header { fingerprint: ListMessage::FINGERPRINT, ..Header::default() }.encode();
    for metadata in [&[0x91, 0x90][..], &[0xdc, 0, 1, 0x90], &[0xdd, 0, 0, 0, 1, 0x90]] {
        let joined = [&header[..], metadata].concat();
        assert_eq!(decode::<ListMessage<'_>>(&[&joined]), Err(at(24, Kind::MultipartFrames)));
        assert_eq!(blob::decode_any(&joined), Err(at(24, Kind::MultipartFrames)));
    }
    for found in [0, 1, 2, 3, 4, 6, 7, 0x80, 0xff] {
        let other = [&header[..], &[found, 0, 0, 0, 0]].concat();
        assert_eq!(blob::decode_any(&other), Err(at(24, Kind::Tag { found })));
    }
    let long = [&header[..], &[5, 0, 0, 0, 2, 0x91, 0x90, 0, 0]].concat();
    assert_eq!(decode::<ListMessage<'_>>(&[&long]), Err(at(31, Kind::TrailingBytes { count: 2 })));
    let short = [&header[..], &[5, 0, 0, 0, 3, 0x91, 0x90, 0]].concat();
    assert_eq!(decode::<ListMessage<'_>>(&[&short]), Err(at(31, Kind::TrailingBytes { count: 1 })));
}

#[test]
fn discovery_bodies_of_another_form_are_refused() {
    let body = |pairs: &[(&str, Item)]| packed(&map(pairs));
    let key = |key| Kind::DiscoveryKey(key);
    let wrong = |expected, found| Kind::WrongType { expected, found };
    let command = ("command", Item::from(5));
    for (pairs, name, kind) in [
        (vec![("command", "5".into())], "command", wrong(Type::Int, Type::Str)),
        (vec![("command", 6.into())], "command", Kind::IntegerRange),
        (vec![("command", (-1).into())], "command", Kind::IntegerRange),
        (vec![command.clone(), command.clone()], "command", key(DiscoveryKey::Command)),
        (vec![("topic_name", 1.into())], "topic_name", wrong(Type::Str, Type::Int)),
        (vec![("topic_info", "x".into())], "topic_info", wrong(Type::Bytes, Type::Str)),
        (vec![("ext", 1.into())], "ext", wrong(Type::Map, Type::Int)),
        (vec![("lease_ms", Item::Nil), ("ext", Item::Nil)], "ext", wrong(Type::Map, Type::Nil)),
    ] {
        let bytes = body(&pairs);
        let error = Request::decode(&bytes).expect_err("it is broken");
        assert_eq!(error, at(value_of(&bytes, name), kind), "{pairs:?}");
    }
    assert_eq!(Request::decode(&[0x80]), Err(at(0, key(DiscoveryKey::Command))));
    assert_eq!(Response::decode(&[0x80]), Err(at(0, key(DiscoveryKey::Status))));
    let trailing = [&body(&[command])[..], &[0]].concat();
    let len = trailing.len() - 1;
    assert_eq!(Request::decode(&trailing), Err(at(len, Kind::TrailingBytes { count: 1 })));
    let wide = body(&[("command", 5.into()), ("ext", map(&[("lease_ms", (1_u64 << 32).into())]))]);
    let at_lease = value_of(&wide, "lease_ms");
    assert_eq!(Request::decode(&wide), Err(at(at_lease, Kind::IntegerRange)));
    // A topic that lacks a key: the offset is that of its map.
    let info = body(&[("name", "/t".into())]);
    let bytes = body(&[("command", 1.into()), ("topic_info", Item::Binary(info.clone()))]);
    let info_at = bytes.len() - info.len();
    assert_eq!(Request::decode(&bytes), Err(at(info_at, key(DiscoveryKey::Address))));
}

#[test]
fn a_reader_does_not_move_on_an_error() {
    for input in [&[0xc1][..], &[0xa2, b'x'], &[0xa1, 0xff], &[0x92, 1], &[0xcd, 1]] {
        let mut reader = Reader::new(input);
        assert!(reader.read().is_err());
        assert!(reader.skip().is_err());
        assert!(reader.read_bool().is_err());
        assert_eq!((reader.offset(), reader.rest()), (0, input));
    }
    let mut reader = Reader::new(&[7]);
    assert!(reader.read_str().is_err());
    assert_eq!(reader.read(), Ok(Token::Int(7.into())));
}
