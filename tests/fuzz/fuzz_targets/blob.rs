//! A message in one piece, of any type and as every standard type.

#![no_main]

use cortex_fuzz::{check_message, for_every_standard_type, same};
use cortex_wire::{Header, Message, Value, blob};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok((header, fields)) = blob::decode_any(data) else {
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
