//! A message in one piece, of any type and as every standard type.

#![no_main]

use cortex_fuzz::roundtrip::{check_message, same};
use cortex_fuzz::{for_every_standard_type, limits, mutate, oracle};
use cortex_wire::{Header, Message, Value, blob};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| {
    let ours = limits::borrowed(data.len(), 1, || blob::decode_any(data));
    oracle::blob::check(data, &ours);
    let Ok((header, fields)) = ours else {
        // No type decodes it either.
        return for_every_standard_type!(refused(data));
    };
    let mut again = header.encode().to_vec();
    again.extend(encoded(&Value::List(fields)));
    let (header_again, fields_again) = blob::decode_any(&again).expect("what we encoded decodes");
    assert_eq!(header_again, header);
    assert!(same(&Value::List(fields), &Value::List(fields_again)), "a field has changed");
    assert_eq!(encoded(&Value::List(fields_again)), again[Header::LEN..]);

    let mut data = data.to_vec();
    for_every_standard_type!(check(&mut data));
});

fuzz_mutator!(|data: &mut [u8], len: usize, max: usize, seed: u32| {
    mutate::within(data, len, max, seed, |data, random| {
        (data.len() > 29).then(|| mutate::msgpack::tagged(data, 24, random))?
    })
});

fn encoded(value: &Value<'_>) -> Vec<u8> {
    let needed = blob::encode_value(value, &mut []).expect_err("a list is not empty").needed;
    let mut out = vec![0; needed];
    blob::encode_value(value, &mut out).expect("it fits");
    out
}

fn refused<M: Message>(data: &[u8], _: impl Fn(&M::View<'_>, &M::View<'_>) -> bool) {
    assert!(blob::decode::<M>(data).is_err());
}

fn check<M: Message>(data: &mut [u8], equal: impl Fn(&M::View<'_>, &M::View<'_>) -> bool) {
    data[..8].copy_from_slice(&M::FINGERPRINT.to_be_bytes());
    if let Ok((_, message)) = blob::decode::<M>(data) {
        check_message::<M>(&message, equal);
    }
}
