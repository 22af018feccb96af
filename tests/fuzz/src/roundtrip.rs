//! What must hold of every message and value that decodes: encoded and decoded again it is the same.

use cortex_wire::{
    Decode, DecodeErrorKind, Decoder, Encode, EncodeErrorKind, Encoder, Event, Header, Message,
    OwnedKey, OwnedValue, Value, Walk, blob, decode, decode_bare, encode, encoded_len,
};

use crate::input::Input;
use crate::{limits, oracle};

/// Metadata and buffers of a message that was decoded, which therefore encodes.
pub fn encoded<M: Message>(message: &M) -> (Vec<u8>, Vec<&[u8]>) {
    let len = encoded_len(message).expect("what decoded encodes");
    let mut out = vec![0; len];
    let mut buffers = Vec::new();
    let metadata = encode(message, &mut out, &mut buffers).expect("what decoded encodes");
    assert_eq!(metadata.len(), len, "the length was told before");
    (out, buffers)
}

/// The blob of a message that was decoded.
pub fn encoded_blob<M: Message>(header: &Header, message: &M) -> Vec<u8> {
    let needed = match blob::encode(header, message, &mut []) {
        Err(error) => error.needed,
        Ok(_) => unreachable!("a blob is not empty"),
    };
    let mut out = vec![0; needed];
    assert_eq!(blob::encode(header, message, &mut out).expect("it fits").len(), needed);
    out
}

/// Checks a message that decoded: encoded and decoded again it is the same, in frames and as a
/// blob. Encoding it once more gives the same bytes, so that NaN is compared by its bits.
pub fn check_message<M: Message>(
    message: &M::View<'_>,
    equal: impl Fn(&M::View<'_>, &M::View<'_>) -> bool,
) {
    // A message with a NaN in it is unequal to itself.
    let comparable = equal(message, message);
    let encoded_frames = match encoded_len(message).map_err(|error| error.kind) {
        // A blob's map may have the key, which is none of a map beside frames.
        Err(EncodeErrorKind::ReservedKey) => None,
        // Too many descriptors of one buffer.
        Err(EncodeErrorKind::CopyLimit { .. }) => return,
        _ => Some(encoded(message)),
    };
    let same_bytes = |message: &M::View<'_>| {
        encoded_frames.as_ref().is_none_or(|frames| encoded(message) == *frames)
    };
    if let Some((metadata, buffers)) = &encoded_frames {
        let again = decode_bare::<M>(metadata, buffers).expect("what we encoded decodes");
        assert!(!comparable || equal(message, &again), "the message has changed");
        assert!(same_bytes(&again), "the bytes have changed");
    }

    let header = Header { fingerprint: M::FINGERPRINT, timestamp_ns: 1, sequence: 2 };
    let single = encoded_blob(&header, message);
    let (header_again, again) = blob::decode::<M>(&single).expect("what we encoded decodes");
    assert_eq!(header_again, header);
    assert!(!comparable || equal(message, &again), "the message has changed in a blob");
    assert_eq!(encoded_blob(&header, &again), single, "the blob has changed");
    assert!(same_bytes(&again), "the bytes have changed through a blob");
}

/// Decodes frames as one type, with a header and without.
pub fn check_type<M: Message>(
    input: &Input<'_>,
    equal: impl Fn(&M::View<'_>, &M::View<'_>) -> bool,
) {
    let header = Header { fingerprint: M::FINGERPRINT, ..Header::default() }.encode();
    let frames = [&[&header[..]], &input.frames()[1..]].concat();
    let bare = decode_bare::<M>(input.metadata, &input.buffers);
    let message = limits::borrowed(input.metadata.len(), 1, || decode::<M>(&frames));
    match (message, bare) {
        (Ok(message), Ok(_)) => check_message::<M>(&message, equal),
        (Err(error), Err(bare)) => assert_eq!(error, bare),
        _ => panic!("a header decides whether a message decodes"),
    }
}

/// Whether two values are the same; NaN is the same as a NaN of the same bits.
pub fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len()
                && a.iter().count() == a.len()
                && a.iter().zip(b).all(|(a, b)| same(&a, &b))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.iter().count() == a.len()
                && a.iter().zip(b).all(|((j, a), (k, b))| j == k && same(&a, &b))
        }
        _ => a == b,
    }
}

/// Whether two walks go the same way to the end.
pub fn same_walk(a: Walk<'_>, b: Walk<'_>) -> bool {
    let mut b = b;
    for event in a {
        let same = match (event, b.next()) {
            (Ok(Event::Value(a)), Some(Ok(Event::Value(b)))) => same(&a, &b),
            (Ok(a), Some(Ok(b))) => a == b,
            _ => false,
        };
        if !same {
            return false;
        }
    }
    b.next().is_none()
}

/// Checks the metadata of frames as one value of any type: walked and decoded alike, and the
/// same after encoding.
pub fn check_value(input: &Input<'_>) {
    let frames = input.frames();
    let len = input.metadata.len();
    let walked = limits::borrowed(len, 1, || {
        Walk::new(&frames).expect("there is metadata").find_map(Result::err)
    });
    let mut decoder = Decoder::new(&frames).expect("there is metadata");
    let value = limits::borrowed(len, 1, || {
        Value::decode(&mut decoder).and_then(|value| decoder.finish().map(|()| value))
    });
    let theirs = oracle::value::metadata(input.metadata, &input.buffers);
    oracle::value::assert_same(&value, &theirs);
    let owned = limits::owned(len, input.buffers.iter().map(|buffer| buffer.len()).sum(), || {
        let mut decoder = Decoder::new(&frames).expect("there is metadata");
        OwnedValue::decode(&mut decoder).and_then(|value| decoder.finish().map(|()| value))
    });
    let value = match (value, walked) {
        (Ok(value), None) => value,
        (Err(error), Some(walked)) => return assert_eq!(error, walked),
        (Ok(_), Some(walked)) => panic!("decodes, but walking finds {walked}"),
        (Err(error), None) => panic!("walks, but decoding finds {error}"),
    };
    match &owned {
        Ok(owned) => assert!(same_owned(owned, &value), "the owned value differs"),
        Err(error) => {
            assert!(matches!(error.kind, DecodeErrorKind::CopyLimit { .. }), "{error}");
            // It is not encoded either.
            return;
        }
    }
    let (metadata, buffers) = encoded_value(&value);
    let again = [&[&[][..], &metadata], &buffers[..]].concat();
    assert!(same_walk(
        Walk::new(&frames).expect("there is metadata"),
        Walk::new(&again).expect("there is metadata"),
    ));
    let mut decoder = Decoder::new(&again).expect("there is metadata");
    let decoded = Value::decode(&mut decoder);
    let decoded = decoded.expect("what we encoded decodes");
    assert!(same(&value, &decoded), "the value has changed");
    assert_eq!(encoded_value(&decoded), (metadata.clone(), buffers.clone()));
}

fn encoded_value<'b>(value: &'b Value<'b>) -> (Vec<u8>, Vec<&'b [u8]>) {
    let mut buffers = Vec::new();
    let mut measure = Encoder::new(&mut [], &mut buffers);
    value.encode(&mut measure).expect("what decoded encodes");
    let mut out = vec![0; measure.writer().len()];
    let mut buffers = Vec::new();
    let mut encoder = Encoder::new(&mut out, &mut buffers);
    value.encode(&mut encoder).expect("what decoded encodes");
    encoder.finish().expect("it fits");
    (out, buffers)
}

/// Whether an owned value is a copy of `value`.
pub fn same_owned(owned: &OwnedValue, value: &Value<'_>) -> bool {
    match (owned, value) {
        (OwnedValue::Nil, Value::Nil) => true,
        (OwnedValue::Bool(a), Value::Bool(b)) => a == b,
        (OwnedValue::Int(a), Value::Int(b)) => a == b,
        (OwnedValue::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (OwnedValue::Str(a), Value::Str(b)) => a == b,
        (OwnedValue::Bytes(a), Value::Bytes(b)) => a == b,
        (OwnedValue::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_owned(a, &b))
        }
        (OwnedValue::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((j, a), (k, b))| *j == OwnedKey::from(k) && same_owned(a, &b))
        }
        (OwnedValue::Array(a), Value::Array(b)) => a.view() == *b,
        (OwnedValue::Tensor(a), Value::Tensor(b)) => a.view() == *b,
        _ => false,
    }
}
