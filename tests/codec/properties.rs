//! Round trips of generated messages: decoding returns the encoded value, and encoding returns the
//! decoded bytes.
//!
//! The cases are the same in every run; `PROPTEST_CASES` makes more of them, `PROPTEST_RNG_SEED`
//! others. A failure prints the smallest input found.

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

fn config() -> ProptestConfig {
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
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "\\PC{0,12}",
        1 => select(&[30_usize, 31, 32, 33, 254, 255, 256, 257][..]).prop_map(|len| "x".repeat(len)),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), 0..12), 1 => vec(any::<u8>(), 254..258)]
}

/// Integers of every size, and those at which the form changes.
fn int() -> impl Strategy<Value = Int> {
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
fn float() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("NaN differs from itself", |f| !f.is_nan())
}

fn array_of(dtype: &'static str) -> impl Strategy<Value = OwnedArray> {
    vec(0_usize..4, 0..5).prop_flat_map(move |shape| {
        let dtype: cortex_wire::Dtype = dtype.parse().expect("a dtype");
        let len = shape.iter().product::<usize>() * dtype.item_len();
        vec(any::<u8>(), len)
            .prop_map(move |data| OwnedArray::new(dtype, &shape, data).expect("it fits"))
    })
}

fn array() -> impl Strategy<Value = OwnedArray> {
    select(DTYPES).prop_flat_map(array_of)
}

fn tensor() -> impl Strategy<Value = OwnedTensor> {
    (array(), select(&["cpu", "cuda:0", ""][..]), any::<bool>()).prop_map(
        |(array, device, requires_grad)| OwnedTensor {
            array,
            device: device.into(),
            requires_grad,
        },
    )
}

fn text_key() -> BoxedStrategy<OwnedKey> {
    text().prop_map(OwnedKey::Str).boxed()
}

fn any_key() -> BoxedStrategy<OwnedKey> {
    prop_oneof![3 => text_key(), 1 => bytes().prop_map(OwnedKey::Bytes)].boxed()
}

/// Values of any type and nesting.
fn value(
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

fn items() -> impl Strategy<Value = Vec<OwnedValue>> {
    vec(value(any_key(), float()), 0..5)
}

fn pairs() -> impl Strategy<Value = Vec<(OwnedKey, OwnedValue)>> {
    vec((any_key(), value(any_key(), float())), 0..5)
}

/// The same value, built from slices that are never freed: a test's worth of memory.
fn built(value: &OwnedValue) -> Value<'static> {
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
fn written<T: Encode>(value: &T) -> Vec<Vec<u8>> {
    let mut out = vec![0; 1 << 16];
    let mut buffers = Vec::new();
    let mut encoder = Encoder::new(&mut out, &mut buffers);
    value.encode(&mut encoder).expect("it encodes");
    let metadata = encoder.finish().expect("it fits").to_vec();
    [vec![], metadata].into_iter().chain(buffers.into_iter().map(<[u8]>::to_vec)).collect()
}

fn read<'a, T: Decode<'a>>(frames: &'a Vec<Vec<u8>>) -> T {
    let mut input = Decoder::new(frames).expect("there is metadata");
    let value = T::decode(&mut input).expect("it decodes");
    input.finish().expect("nothing is left");
    value
}

/// Equal where NaN equals a NaN of the same bits.
fn same(a: &OwnedValue, b: &OwnedValue) -> bool {
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

proptest! {
    #![proptest_config(config())]

    #[test]
    fn scalar_messages_travel(
        string in text(), number in int(), float in float(), data in bytes(),
        stamp in any::<(i64, i64, u64)>(),
    ) {
        assert_travels!(StringMessage<'_>, StringMessage { data: &string });
        assert_travels!(IntMessage, IntMessage { data: number });
        assert_travels!(FloatMessage, FloatMessage { data: float });
        assert_travels!(BytesMessage<'_>, BytesMessage { data: &data });
        assert_travels!(TimestampMessage, TimestampMessage { sec: stamp.0, nanosec: stamp.1 });
        assert_travels!(HeaderMessage<'_>, HeaderMessage {
            stamp_sec: stamp.0, stamp_nanosec: stamp.1, frame_id: &string, sequence: stamp.2,
        });
    }

    #[test]
    fn messages_of_arrays_travel(
        arrays in vec(array(), 4), options in any::<[bool; 3]>(), texts in [text(), text()],
        size in any::<(u64, u64)>(), names in vec(text(), 4),
    ) {
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| arrays[index].view());
        let [first, second] = [&*texts[0], &*texts[1]];
        assert_travels!(ArrayMessage<'_>, ArrayMessage { data: a, name: first, frame_id: second });
        let named: Vec<_> = names.iter().map(String::as_str).zip([a, b, c, d]).collect();
        assert_travels!(MultiArrayMessage<'_>, MultiArrayMessage {
            arrays: MapOf::from(&named[..]), frame_id: first,
        });
        assert_travels!(ImageMessage<'_>, ImageMessage {
            data: a, encoding: first, width: size.0.max(1), height: size.1,
        });
        assert_travels!(ImageMessage<'_>, ImageMessage::new(b, second));
        assert_travels!(PointCloudMessage<'_>, PointCloudMessage {
            points: a,
            colors: options[0].then_some(b),
            intensity: options[1].then_some(c),
            normals: options[2].then_some(d),
            frame_id: first,
        });
        assert_travels!(PoseMessage<'_>, PoseMessage {
            position: a, orientation: b, frame_id: first, child_frame_id: second,
        });
        assert_travels!(TransformMessage<'_>, TransformMessage {
            matrix: c, frame_id: first, child_frame_id: second,
        });
    }

    #[test]
    fn messages_of_tensors_travel(tensors in vec((text(), tensor()), 0..4), name in text()) {
        let named: Vec<_> = tensors.iter().map(|(name, tensor)| (&**name, tensor.view())).collect();
        if let Some((_, data)) = named.first() {
            assert_travels!(TensorMessage<'_>, TensorMessage { data: *data, name: &name });
        }
        assert_travels!(MultiTensorMessage<'_>, MultiTensorMessage {
            tensors: MapOf::from(&named[..]),
        });
    }

    #[test]
    fn messages_of_values_travel(items in items(), pairs in pairs()) {
        // The decoded value encodes to the same bytes.
        let list = written(&OwnedValue::List(items.clone()));
        let frames = assert_travels!(ListMessage<'_>, ListMessage { data: read(&list) });
        prop_assert_eq!(&frames[1][1..], &list[1]);
        let map = written(&OwnedValue::Map(pairs.clone()));
        let frames = assert_travels!(DictMessage<'_>, DictMessage { data: read(&map) });
        prop_assert_eq!(&frames[1][1..], &map[1]);
    }

    #[test]
    fn built_values_travel_like_owned_ones(value in value(text_key(), float())) {
        let frames = written(&value);
        let built = built(&value);
        prop_assert_eq!(&written(&built), &frames);
        prop_assert_eq!(read::<Value<'_>>(&frames), built);
        prop_assert_eq!(&OwnedValue::from(built), &value);
        match built {
            Value::List(data) => { assert_travels!(ListMessage<'_>, ListMessage { data }); }
            Value::Map(data) => { assert_travels!(DictMessage<'_>, DictMessage { data }); }
            _ => {}
        }
    }

    #[test]
    fn values_travel_in_frames_and_in_blobs(
        value in value(any_key(), any::<u64>().prop_map(f64::from_bits)),
    ) {
        let frames = written(&value);
        prop_assert!(same(&read::<OwnedValue>(&frames), &value));
        let borrowed = read::<Value<'_>>(&frames);
        prop_assert!(same(&OwnedValue::from(borrowed), &value));
        prop_assert_eq!(&written(&borrowed), &frames);

        // Beside frames, into one piece, and back beside frames.
        let full = blob::encode_value(&borrowed, &mut []).expect_err("a tag at least");
        let mut out = vec![0; full.needed];
        let tagged = blob::encode_value(&borrowed, &mut out).expect("it fits exactly").to_vec();
        prop_assert_eq!(tagged.len(), full.needed);
        let longer = [&tagged[..], &[0xc1; 3]].concat();
        let (inline, len) = blob::decode_value(&longer).expect("it decodes");
        prop_assert_eq!(len, tagged.len());
        prop_assert!(same(&OwnedValue::from(inline), &value));
        prop_assert_eq!(blob::encode_value(&inline, &mut out), Ok(&tagged[..]));
        prop_assert_eq!(&written(&inline), &frames);
    }

    #[test]
    fn raw_arrays_travel(array in array()) {
        let full = blob::encode_array(&array.view(), &mut []).expect_err("a length at least");
        let mut out = vec![0; full.needed];
        let raw = blob::encode_array(&array.view(), &mut out).expect("it fits exactly").to_vec();
        prop_assert_eq!(blob::decode_array(&raw), Ok((array.view(), raw.len())));
    }
}

/// Every type that a field can have without an allocator.
#[derive(Clone, Debug, PartialEq, Message)]
#[cortex(class = "tests.properties.Borrowed")]
struct Borrowed<'a> {
    flag: bool,
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
    f32: f32,
    f64: f64,
    text: &'a str,
    bytes: &'a [u8],
    four_bytes: [u8; 4],
    maybe_int: Option<i16>,
    maybe_text: Option<&'a str>,
    vector: [f64; 3],
    matrix: [[i8; 2]; 3],
    short_text: heapless::String<16>,
    few: heapless::Vec<u16, 5>,
    few_bytes: heapless::Vec<u8, 9>,
    few_texts: heapless::Vec<&'a str, 3>,
    array: ArrayView<'a>,
    typed: TypedArray<'a, f32>,
    maybe_array: Option<ArrayView<'a>>,
    tensor: TensorView<'a>,
    value: Value<'a>,
    list: List<'a>,
    map: Map<'a>,
    arrays: MapOf<'a, ArrayView<'a>>,
    numbers: MapOf<'a, [f64; 2]>,
    #[cortex(default)]
    name: &'a str,
    #[cortex(default = 7)]
    number: u32,
    #[cortex(default)]
    extra: Option<ArrayView<'a>>,
    #[cortex(default = [1.5, -0.5])]
    pair: [f64; 2],
}

/// Every type that a field can have with an allocator alone.
#[derive(Clone, Debug, PartialEq, Message)]
#[cortex(class = "tests.properties.Owned")]
struct Owned {
    text: String,
    bytes: Vec<u8>,
    numbers: Vec<f32>,
    texts: Vec<String>,
    lists: Vec<Vec<i64>>,
    maybe: Option<Vec<u16>>,
    array: OwnedArray,
    tensor: OwnedTensor,
    value: OwnedValue,
    values: Vec<OwnedValue>,
    map: BTreeMap<String, f64>,
    arrays: BTreeMap<String, Vec<OwnedArray>>,
    #[cortex(default)]
    more: Vec<String>,
    #[cortex(default = OwnedValue::Bool(true))]
    last: OwnedValue,
}

fn f32s() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits).prop_filter("NaN differs from itself", |f| !f.is_nan())
}

/// The metadata of a message with the first `count` fields alone.
fn shortened(frames: &[Vec<u8>], count: usize) -> Vec<Vec<u8>> {
    let frames = frames.to_vec();
    let mut fields: Vec<OwnedValue> = read(&frames);
    fields.truncate(count);
    written(&fields)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn derived_messages_that_borrow_travel(
        flag in any::<bool>(),
        unsigned in any::<(u8, u16, u32, u64, usize)>(),
        signed in any::<(i8, i16, i32, i64, isize)>(),
        int in int(),
        floats in (f32s(), float(), [float(), float(), float()]),
        texts in (text(), "[a-zé]{0,8}", vec(text(), 0..3)),
        bytes in (bytes(), any::<[u8; 4]>(), vec(any::<u8>(), 0..9)),
        options in (any::<Option<i16>>(), any::<bool>()),
        matrix in any::<[[i8; 2]; 3]>(),
        few in vec(any::<u16>(), 0..5),
        arrays in (array(), prop_oneof![array_of("<f4"), array_of(">f4")], tensor(), vec(array(), 0..3)),
        values in (value(any_key(), float()), items(), pairs(), any::<u32>()),
    ) {
        let value = written(&values.0);
        let list = written(&values.1);
        let map = written(&OwnedValue::Map(values.2));
        let named: Vec<_> = arrays.3.iter().map(|array| (&*texts.0, array.view())).collect();
        let numbers = [("a", [floats.1, 0.5]), ("b", [floats.2[0], -0.0])];
        let message = Borrowed {
            flag,
            u8: unsigned.0,
            u16: unsigned.1,
            u32: unsigned.2,
            u64: unsigned.3,
            usize: unsigned.4,
            i8: signed.0,
            i16: signed.1,
            i32: signed.2,
            i64: signed.3,
            isize: signed.4,
            int,
            f32: floats.0,
            f64: floats.1,
            text: &texts.0,
            bytes: &bytes.0,
            four_bytes: bytes.1,
            maybe_int: options.0,
            maybe_text: options.1.then_some(&*texts.0),
            vector: floats.2,
            matrix,
            short_text: heapless::String::try_from(&*texts.1).expect("it is short"),
            few: few.iter().copied().collect(),
            few_bytes: bytes.2.iter().copied().collect(),
            few_texts: texts.2.iter().map(String::as_str).collect(),
            array: arrays.0.view(),
            typed: TypedArray::new(arrays.1.view()).expect("floats"),
            maybe_array: options.1.then(|| arrays.1.view()),
            tensor: arrays.2.view(),
            value: read(&value),
            list: read(&list),
            map: read(&map),
            arrays: MapOf::from(&named[..]),
            numbers: MapOf::from(&numbers[..]),
            name: &texts.1,
            number: values.3,
            extra: options.1.then(|| arrays.0.view()),
            pair: [floats.1, floats.2[1]],
        };
        let frames = assert_travels!(Borrowed<'_>, message.clone());

        // Each field that is missing at the end has its default.
        let total = Borrowed::FIELDS.len();
        let mut expected = message;
        for count in (total - 4..total).rev() {
            match total - count {
                1 => expected.pair = [1.5, -0.5],
                2 => expected.extra = None,
                3 => expected.number = 7,
                _ => expected.name = "",
            }
            let short = shortened(&frames, count);
            let buffers = &short[2..];
            let short_message = decode_bare::<Borrowed<'_>>(&short[1], &buffers);
            prop_assert_eq!(short_message.as_ref(), Ok(&expected));
        }
        let short = shortened(&frames, total - 5);
        let buffers = &short[2..];
        prop_assert!(decode_bare::<Borrowed<'_>>(&short[1], &buffers).is_err());
    }

    #[test]
    fn derived_messages_that_own_travel(
        texts in (text(), vec(text(), 0..4), vec(text(), 0..4)),
        bytes in bytes(),
        numbers in (vec(f32s(), 0..5), vec(vec(any::<i64>(), 0..4), 0..4)),
        maybe in proptest::option::of(vec(any::<u16>(), 0..4)),
        arrays in (array(), tensor(), btree_map(text(), vec(array(), 0..3), 0..3)),
        values in (value(any_key(), float()), items(), value(any_key(), float())),
        map in btree_map(text(), float(), 0..5),
    ) {
        let message = Owned {
            text: texts.0,
            bytes,
            numbers: numbers.0,
            texts: texts.1,
            lists: numbers.1,
            maybe,
            array: arrays.0,
            tensor: arrays.1,
            value: values.0,
            values: values.1,
            map,
            arrays: arrays.2,
            more: texts.2,
            last: values.2,
        };
        let frames = assert_travels!(Owned, message.clone());
        let total = Owned::FIELDS.len();
        let short = shortened(&frames, total - 2);
        let expected = Owned { more: Vec::new(), last: OwnedValue::Bool(true), ..message };
        let buffers = &short[2..];
        let short_message = decode_bare::<Owned>(&short[1], &buffers);
        prop_assert_eq!(short_message.as_ref(), Ok(&expected));
    }
}
