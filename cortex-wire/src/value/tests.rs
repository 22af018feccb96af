use super::*;
use crate::coding::decode::{Decode, Decoder};
use crate::coding::encode::NoBuffers;
use crate::error::EncodeErrorKind;
use crate::value::walk::Walk;

fn decoded<'a>(frames: &'a [&'a [u8]; 2]) -> Value<'a> {
    let mut input = Decoder::new(frames).unwrap();
    let value = Value::decode(&mut input).unwrap();
    input.finish().unwrap();
    value
}

#[test]
fn built_and_decoded_values_are_equal() {
    let inner = [Value::from(1), Value::Nil];
    let pairs = [("a", Value::from(&inner[..])), ("b", Value::from("text"))];
    let built = Value::from(&pairs[..]);
    let mut out = [0; 64];
    let mut buffers = NoBuffers;
    let mut encoder = Encoder::new(&mut out, &mut buffers);
    built.encode(&mut encoder).unwrap();
    let frames: [&[u8]; 2] = [&[], encoder.finish().unwrap()];
    let read = decoded(&frames);
    assert_eq!(read, built);
    let count: Result<usize, _> = Walk::new(&frames).unwrap().map(|event| event.map(|_| 1)).sum();
    assert_eq!(count, Ok(9));
}

#[test]
fn decoded_values_are_encoded_in_smallest_form() {
    // [1 as u64, {b"k": 0.5 as f32}] in wasteful forms.
    let wasteful = [
        0xdc, 0, 2, 0xcf, 0, 0, 0, 0, 0, 0, 0, 1, 0xde, 0, 1, 0xc5, 0, 1, b'k', 0xca, 0x3f, 0, 0, 0,
    ];
    let frames: [&[u8]; 2] = [&[], &wasteful];
    let value = decoded(&frames);
    let mut out = [0; 64];
    let mut buffers = NoBuffers;
    let mut encoder = Encoder::new(&mut out, &mut buffers);
    value.encode(&mut encoder).unwrap();
    assert_eq!(
        encoder.finish().unwrap(),
        [0x92, 1, 0x81, 0xc4, 1, b'k', 0xcb, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0]
    );
}

#[test]
fn rejects_the_reserved_key_when_arrays_are_in_frames() {
    let pairs = [("__cortex_oob__", Value::Nil)];
    let value = Value::from(&pairs[..]);
    let mut buffers = NoBuffers;
    let mut encoder = Encoder::new(&mut [], &mut buffers);
    let error = value.encode(&mut encoder).unwrap_err();
    assert_eq!(error.kind, EncodeErrorKind::ReservedKey);
}

#[test]
fn the_last_of_equal_keys_wins_as_in_python() {
    let pairs = [("k", Value::from(1)), ("k", Value::from(2))];
    assert_eq!(Map::from(&pairs[..]).get("k"), Some(Value::from(2)));
}
