//! Messages of `#[derive(Message)]`.

use super::*;

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
