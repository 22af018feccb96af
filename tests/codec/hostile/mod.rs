//! Malformed input (`WIRE.md` section 8): each kind is rejected with an error that names the fault
//! and its byte offset.

mod amplification;
mod descriptors;
mod items;
mod messages;
mod truncated;

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
pub(crate) fn decode_named<'a>(
    name: &str,
    frames: &'a (dyn Frames + 'a),
) -> Result<(), DecodeError> {
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

pub(crate) fn packed(item: &Item) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, item).expect("a vector takes everything");
    out
}

pub(crate) fn map(pairs: &[(&str, Item)]) -> Item {
    Item::Map(pairs.iter().map(|(key, value)| (Item::from(*key), value.clone())).collect())
}

pub(crate) fn list(items: impl IntoIterator<Item = impl Into<Item>>) -> Item {
    Item::Array(items.into_iter().map(Into::into).collect())
}

/// A whole descriptor of a tensor, which is one of an array as well but for its kind.
pub(crate) fn descriptor(kind: &str) -> Vec<(&'static str, Item)> {
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
pub(crate) fn with(kind: &str, key: &str, value: impl Into<Item>) -> Vec<(&'static str, Item)> {
    let mut pairs = descriptor(kind);
    pairs.iter_mut().find(|pair| pair.0 == key).expect("a known key").1 = value.into();
    pairs
}

/// Metadata `[item]` with a buffer of 12 bytes, read as an array, a tensor and anything: all three
/// fail in the same way, which is returned.
#[track_caller]
pub(crate) fn refused(metadata: &[u8]) -> DecodeError {
    let frames = [&[0; 24][..], metadata, &[0; 12]];
    let error = Walk::new(&frames).unwrap().find_map(Result::err).expect("the walk fails");
    assert_eq!(field::<Value<'_>>(metadata), Err(error));
    assert_eq!(field::<OwnedValue>(metadata).unwrap_err(), error);
    error
}

/// The one field of `metadata`.
pub(crate) fn field<'a, T: Decode<'a>>(metadata: &'a [u8]) -> Result<T, DecodeError> {
    // The value borrows from this list of frames alone.
    let frames: &[&[u8]; 3] = Box::leak(Box::new([&[0; 24], metadata, &[0; 12]]));
    let mut input = Decoder::new(frames)?;
    let value = input.fields(1, 1)?.next()?;
    input.finish()?;
    Ok(value)
}

/// As an array and as a tensor, beside what [`refused`] tries.
#[track_caller]
pub(crate) fn refused_descriptor(pairs: &[(&str, Item)]) -> (DecodeError, Vec<u8>) {
    let metadata = packed(&list([map(pairs)]));
    let error = refused(&metadata);
    assert_eq!(field::<ArrayView<'_>>(&metadata), Err(error));
    assert_eq!(field::<TensorView<'_>>(&metadata), Err(error));
    (error, metadata)
}

/// Where the value of the last entry with this key stands.
#[track_caller]
pub(crate) fn value_of(metadata: &[u8], key: &str) -> usize {
    let key = key.as_bytes();
    metadata.windows(key.len()).rposition(|part| part == key).expect("the key is there") + key.len()
}

pub(crate) const fn at(offset: usize, kind: Kind) -> DecodeError {
    DecodeError::new(kind, offset)
}

/// Where the items of some MessagePack begin.
pub(crate) fn item_starts(input: &[u8]) -> Vec<usize> {
    let mut reader = Reader::new(input);
    let mut starts = Vec::new();
    while !reader.rest().is_empty() {
        starts.push(reader.offset());
        reader.read().expect("the whole is valid");
    }
    starts
}

#[track_caller]
pub(crate) fn assert_truncated(error: DecodeError, len: usize) {
    let Kind::Truncated { needed, available } = error.kind else { panic!("{error} of {len}") };
    assert!(needed > available as u64, "{error}");
    assert!(error.offset + available <= len, "{error} of {len}");
}
