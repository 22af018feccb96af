//! A tagged value, and an array in the raw layout.

#![no_main]

use cortex_fuzz::roundtrip::same;
use cortex_fuzz::{limits, mutate, oracle};
use cortex_wire::{ArrayView, Value, blob};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| {
    let ours = limits::borrowed(data.len(), 1, || blob::decode_value(data));
    oracle::blob::check_value(data, &ours);
    if let Ok((value, len)) = ours {
        assert!(len <= data.len());
        let bytes = encoded(&value);
        let (again, len) = blob::decode_value(&bytes).expect("what we encoded decodes");
        assert_eq!(len, bytes.len());
        assert!(same(&value, &again), "the value has changed");
        assert_eq!(encoded(&again), bytes);
    }
    let ours = limits::borrowed(data.len(), 1, || blob::decode_array(data));
    oracle::blob::check_array(data, &ours);
    if let Ok((array, len)) = ours {
        assert!(len <= data.len());
        let bytes = encoded_array(&array);
        assert_eq!(blob::decode_array(&bytes), Ok((array, bytes.len())));
    }
});

fuzz_mutator!(|data: &mut [u8], len: usize, max: usize, seed: u32| {
    mutate::within(data, len, max, seed, |data, random| {
        (data.len() > 5).then(|| mutate::msgpack::tagged(data, 0, random))?
    })
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
