//! A tagged value, and an array in the raw layout.

#![no_main]

use cortex_fuzz::same;
use cortex_wire::{ArrayView, Value, blob};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok((value, len)) = blob::decode_value(data) {
        assert!(len <= data.len());
        let bytes = encoded(&value);
        let (again, len) = blob::decode_value(&bytes).expect("what we encoded decodes");
        assert_eq!(len, bytes.len());
        assert!(same(&value, &again), "the value has changed");
        assert_eq!(encoded(&again), bytes);
    }
    if let Ok((array, len)) = blob::decode_array(data) {
        assert!(len <= data.len());
        let bytes = encoded_array(&array);
        assert_eq!(blob::decode_array(&bytes), Ok((array, bytes.len())));
    }
});

fn encoded(value: &Value<'_>) -> Vec<u8> {
    let needed = blob::encode_value(value, &mut []).expect_err("a tag takes a byte").needed;
    let mut out = vec![0; needed];
    assert_eq!(blob::encode_value(value, &mut out).expect("it fits").len(), needed);
    out
}

fn encoded_array(array: &ArrayView<'_>) -> Vec<u8> {
    let needed = blob::encode_array(array, &mut []).expect_err("a count takes a byte").needed;
    let mut out = vec![0; needed];
    assert_eq!(blob::encode_array(array, &mut out).expect("it fits").len(), needed);
    out
}
