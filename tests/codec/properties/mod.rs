//! Round trips of generated messages: decoding returns the encoded value, and encoding returns the
//! decoded bytes.
//!
//! The cases are the same in every run; `PROPTEST_CASES` makes more of them, `PROPTEST_RNG_SEED`
//! others. A failure prints the smallest input found.

mod derived;
mod messages;

use std::collections::BTreeMap;

use cortex_tests::typed;
use cortex_wire::standard::*;
use cortex_wire::{
    ArrayView, Decode, Decoder, Encode, EncodeError, EncodeErrorKind, Encoder, Header, Int, List,
    Map, MapOf, Message, OwnedArray, OwnedKey, OwnedTensor, OwnedValue, TensorView, TypedArray,
    Value, blob, decode, decode_bare, encode, encoded_len,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

/// Every kind of item, in both byte orders.
const DTYPES: &[&str] = &[
    "|b1",
    "|i1",
    "|u1",
    "<i2",
    ">i2",
    "<u2",
    ">u2",
    "<i4",
    ">i4",
    "<u4",
    ">u4",
    "<i8",
    ">i8",
    "<u8",
    ">u8",
    "<f2",
    ">f2",
    "<f4",
    ">f4",
    "<f8",
    ">f8",
    "<f16",
    ">f16",
    "<c8",
    ">c8",
    "<c16",
    ">c16",
    "<c32",
    "|S1",
    "|S7",
    "<U1",
    ">U3",
    "|V1",
    "|V12",
    "<M8",
    "<M8[ns]",
    ">m8[25us]",
    "<m8[Y]",
];

pub(crate) fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let chosen = |name| std::env::var_os(name).is_some();
    ProptestConfig {
        cases: if chosen("PROPTEST_CASES") { default.cases } else { 500 },
        rng_seed: if chosen("PROPTEST_RNG_SEED") { default.rng_seed } else { RngSeed::Fixed(1) },
        failure_persistence: None,
        ..default
    }
}

/// Text of any characters, short and around the lengths at which its head grows.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "\\PC{0,12}",
        1 => select(&[30_usize, 31, 32, 33, 254, 255, 256, 257][..]).prop_map(|len| "x".repeat(len)),
    ]
}

pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), 0..12), 1 => vec(any::<u8>(), 254..258)]
}

/// Integers of every size, and those at which the form changes.
pub(crate) fn int() -> impl Strategy<Value = Int> {
    let edges = [
        0_i64,
        0x7f,
        0x80,
        0xff,
        0x100,
        0xffff,
        0x1_0000,
        0xffff_ffff,
        0x1_0000_0000,
        -1,
        -32,
        -33,
        -128,
        -129,
        -0x8000,
        -0x8001,
        -0x8000_0000,
        -0x8000_0001,
        i64::MAX,
        i64::MIN,
    ];
    prop_oneof![
        any::<u64>().prop_map(Int::from),
        any::<i64>().prop_map(Int::from),
        any::<i8>().prop_map(Int::from),
        Just(u64::MAX).prop_map(Int::from),
        proptest::sample::select(edges.to_vec()).prop_map(Int::from),
    ]
}

/// Floats that equal themselves.
pub(crate) fn float() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("NaN differs from itself", |f| !f.is_nan())
}

pub(crate) fn array_of(dtype: &'static str) -> impl Strategy<Value = OwnedArray> {
    vec(0_usize..4, 0..5).prop_flat_map(move |shape| {
        let dtype: cortex_wire::Dtype = dtype.parse().expect("a dtype");
        let len = shape.iter().product::<usize>() * dtype.item_len();
        vec(any::<u8>(), len)
            .prop_map(move |data| OwnedArray::new(dtype, &shape, data).expect("it fits"))
    })
}

pub(crate) fn array() -> impl Strategy<Value = OwnedArray> {
    select(DTYPES).prop_flat_map(array_of)
}

pub(crate) fn tensor() -> impl Strategy<Value = OwnedTensor> {
    (array(), select(&["cpu", "cuda:0", ""][..]), any::<bool>()).prop_map(
        |(array, device, requires_grad)| OwnedTensor {
            array,
            device: device.into(),
            requires_grad,
        },
    )
}

pub(crate) fn text_key() -> BoxedStrategy<OwnedKey> {
    text().prop_map(OwnedKey::Str).boxed()
}

pub(crate) fn any_key() -> BoxedStrategy<OwnedKey> {
    prop_oneof![3 => text_key(), 1 => bytes().prop_map(OwnedKey::Bytes)].boxed()
}

/// Values of any type and nesting.
pub(crate) fn value(
    key: BoxedStrategy<OwnedKey>,
    float: impl Strategy<Value = f64> + 'static,
) -> BoxedStrategy<OwnedValue> {
    let leaf = prop_oneof![
        Just(OwnedValue::Nil),
        any::<bool>().prop_map(OwnedValue::Bool),
        int().prop_map(OwnedValue::Int),
        float.prop_map(OwnedValue::Float),
        text().prop_map(OwnedValue::Str),
        bytes().prop_map(OwnedValue::Bytes),
        array().prop_map(OwnedValue::Array),
        tensor().prop_map(OwnedValue::Tensor),
    ];
    let leaf = leaf.boxed();
    let flat = leaf.clone();
    leaf.prop_recursive(4, 12, 3, move |inner| {
        prop_oneof![
            4 => vec(inner.clone(), 0..4).prop_map(OwnedValue::List),
            4 => vec((key.clone(), inner), 0..4).prop_map(OwnedValue::Map),
            1 => vec(flat.clone(), 15..17).prop_map(OwnedValue::List),
            1 => vec((key.clone(), flat.clone()), 15..17).prop_map(OwnedValue::Map),
        ]
    })
    .boxed()
}

pub(crate) fn items() -> impl Strategy<Value = Vec<OwnedValue>> {
    vec(value(any_key(), float()), 0..5)
}

pub(crate) fn pairs() -> impl Strategy<Value = Vec<(OwnedKey, OwnedValue)>> {
    vec((any_key(), value(any_key(), float())), 0..5)
}

/// The same value, built from slices that are never freed: a test's worth of memory.
pub(crate) fn built(value: &OwnedValue) -> Value<'static> {
    match value {
        OwnedValue::Nil => Value::Nil,
        OwnedValue::Bool(value) => Value::Bool(*value),
        OwnedValue::Int(value) => Value::Int(*value),
        OwnedValue::Float(value) => Value::Float(*value),
        OwnedValue::Str(value) => Value::Str(value.clone().leak()),
        OwnedValue::Bytes(value) => Value::Bytes(value.clone().leak()),
        OwnedValue::List(items) => {
            let items: Vec<_> = items.iter().map(built).collect();
            Value::from(&*items.leak())
        }
        OwnedValue::Map(pairs) => {
            let pair = |(key, value): &(OwnedKey, OwnedValue)| match key {
                OwnedKey::Str(key) => (&*key.clone().leak(), built(value)),
                OwnedKey::Bytes(_) => panic!("maps are built with text keys"),
            };
            let pairs: Vec<_> = pairs.iter().map(pair).collect();
            Value::from(&*pairs.leak())
        }
        OwnedValue::Array(array) => Value::Array(Box::leak(Box::new(array.clone())).view()),
        OwnedValue::Tensor(tensor) => Value::Tensor(Box::leak(Box::new(tensor.clone())).view()),
    }
}

/// Metadata and buffers behind an empty header.
pub(crate) fn written<T: Encode>(value: &T) -> Vec<Vec<u8>> {
    let mut out = vec![0; 1 << 16];
    let mut buffers = Vec::new();
    let mut encoder = Encoder::new(&mut out, &mut buffers);
    value.encode(&mut encoder).expect("it encodes");
    let metadata = encoder.finish().expect("it fits").to_vec();
    [vec![], metadata].into_iter().chain(buffers.into_iter().map(<[u8]>::to_vec)).collect()
}

pub(crate) fn read<'a, T: Decode<'a>>(frames: &'a Vec<Vec<u8>>) -> T {
    let mut input = Decoder::new(frames).expect("there is metadata");
    let value = T::decode(&mut input).expect("it decodes");
    input.finish().expect("nothing is left");
    value
}

/// Equal where NaN equals a NaN of the same bits.
pub(crate) fn same(a: &OwnedValue, b: &OwnedValue) -> bool {
    typed::notate(a) == typed::notate(b)
}

/// Writes a message in every form and reads it back; returns header, metadata and buffers.
macro_rules! assert_travels {
    ($ty:ty, $message:expr) => {{
        let message: $ty = $message;
        let len = encoded_len(&message).expect("it has a length");
        let mut out = vec![0; len];
        let mut buffers = Vec::new();
        let metadata = encode(&message, &mut out, &mut buffers).expect("it fits exactly");
        prop_assert_eq!(metadata.len(), len);
        let header =
            Header { fingerprint: <$ty>::FINGERPRINT, timestamp_ns: 1, sequence: u64::MAX };
        let head = header.encode();
        let frames: Vec<&[u8]> = [&head[..], metadata].into_iter().chain(buffers).collect();
        let read = decode::<$ty>(&frames).expect("it decodes");
        prop_assert_eq!(&read, &message);
        let mut out = vec![0; len];
        let mut buffers = Vec::new();
        prop_assert_eq!(encode(&read, &mut out, &mut buffers), Ok(frames[1]));
        prop_assert_eq!(&buffers[..], &frames[2..]);
        let bare = decode_bare::<$ty>(frames[1], &buffers);
        prop_assert_eq!(bare.as_ref(), Ok(&message));

        // The error names the exact size needed for any size of the buffer: the lengths of many
        // cases reach every size.
        for available in (0..len).step_by(1 + len / 100) {
            let mut out = vec![0; available];
            let mut buffers = Vec::new();
            let full = EncodeError { kind: EncodeErrorKind::OutputFull, needed: len, available };
            prop_assert_eq!(encode(&message, &mut out, &mut buffers), Err(full));
        }
        if let Some(room) = buffers.len().checked_sub(1)
            && room < 2
        {
            let mut some = heapless::Vec::<&[u8], 1>::new();
            let mut none = heapless::Vec::<&[u8], 0>::new();
            let list: &mut dyn cortex_wire::Buffers<'_> =
                if room == 0 { &mut none } else { &mut some };
            let (needed, available) = (room + 1, room);
            let mut out = vec![0; len];
            let full = EncodeError { kind: EncodeErrorKind::TooManyBuffers, needed, available };
            prop_assert_eq!(encode(&message, &mut out, list), Err(full));
        }

        // As a blob.
        let Err(EncodeError { needed, .. }) = blob::encode(&header, &message, &mut []) else {
            panic!("a blob is not empty");
        };
        let mut out = vec![0; needed];
        let whole = blob::encode(&header, &message, &mut out).expect("it fits exactly").to_vec();
        prop_assert_eq!(whole.len(), needed);
        let (blob_header, from_blob) = blob::decode::<$ty>(&whole).expect("it decodes");
        prop_assert_eq!(blob_header, header);
        prop_assert_eq!(&from_blob, &message);
        prop_assert_eq!(blob::encode(&header, &from_blob, &mut out), Ok(&whole[..]));
        let one = [&whole[..]];
        let from_one = decode::<$ty>(&one);
        prop_assert_eq!(from_one.as_ref(), Ok(&message));
        for available in (0..needed).step_by(1 + needed / 100) {
            let mut out = vec![0; available];
            let full = EncodeError { kind: EncodeErrorKind::OutputFull, needed, available };
            prop_assert_eq!(blob::encode(&header, &message, &mut out), Err(full));
        }
        let frames: Vec<Vec<u8>> = frames.iter().map(|frame| frame.to_vec()).collect();
        frames
    }};
}
use assert_travels;
