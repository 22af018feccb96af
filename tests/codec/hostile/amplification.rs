//! Many descriptors of one buffer: a short message that would be copied to a long one.

use super::*;

use cortex_wire::{MapOf, OwnedArray, OwnedTensor};

const BUFFER_LEN: usize = 1 << 20;
const COUNT: usize = 1000;

/// `[[descriptor, ...]]` or `[{"0": descriptor, ...}]`, each of buffer 0.
fn metadata(kind: &str, is_map: bool) -> Vec<u8> {
    let mut pairs = descriptor(kind);
    pairs[2].1 = "|u1".into();
    pairs[3].1 = list([BUFFER_LEN]);
    let items = (0..COUNT).map(|_| map(&pairs));
    let all = if is_map {
        let keys = (0..COUNT).map(|index| Item::from(index.to_string()));
        Item::Map(keys.zip(items).collect())
    } else {
        Item::Array(items.collect())
    };
    packed(&Item::Array(vec![all]))
}

/// The start of the fifth descriptor: four copies are allowed.
fn fifth(metadata: &[u8]) -> usize {
    let heads =
        metadata.windows(16).enumerate().filter(|(_, part)| part[2..] == *b"__cortex_oob__");
    // A map of six pairs, the head of a text of 14 bytes, the text.
    heads.map(|(at, _)| at).nth(4).expect("the fifth")
}

fn owned<T: for<'a> Decode<'a>>(metadata: &[u8], limit: Option<usize>) -> Result<T, DecodeError> {
    let buffer = vec![7; BUFFER_LEN];
    let frames = [&[0; 24][..], metadata, &buffer];
    let mut input = Decoder::new(&frames)?;
    if let Some(limit) = limit {
        input = input.with_copy_limit(limit);
    }
    input.fields(1, 1)?.next()
}

#[test]
fn owned_arrays_beyond_four_times_the_buffers_are_refused() {
    let limit = 4 * BUFFER_LEN;
    for (kind, is_map) in [("numpy", false), ("numpy", true), ("torch", false), ("torch", true)] {
        let metadata = metadata(kind, is_map);
        let refused = Err(at(fifth(&metadata), Kind::CopyLimit { limit }));
        assert_eq!(owned::<OwnedValue>(&metadata, None).map(drop), refused, "{kind} {is_map}");
        type Values = std::collections::BTreeMap<String, OwnedValue>;
        match (kind, is_map) {
            ("numpy", false) => {
                assert_eq!(owned::<Vec<OwnedArray>>(&metadata, None).map(drop), refused);
            }
            ("torch", false) => {
                assert_eq!(owned::<Vec<OwnedTensor>>(&metadata, None).map(drop), refused);
            }
            _ => assert_eq!(owned::<Values>(&metadata, None).map(drop), refused),
        }
    }
}

#[test]
fn a_receiver_chooses_another_limit() {
    let metadata = metadata("numpy", false);
    let limit = 4 * BUFFER_LEN - 1;
    let error = owned::<OwnedValue>(&metadata, Some(limit)).map(drop).unwrap_err();
    assert_eq!(error.kind, Kind::CopyLimit { limit });
    assert!(error.offset < fifth(&metadata));
    let all = owned::<Vec<OwnedArray>>(&metadata, Some(COUNT * BUFFER_LEN));
    assert_eq!(all.map(|all| all.len()), Ok(COUNT));
}

#[test]
fn views_of_one_buffer_are_free_and_their_conversion_is_limited() {
    let buffer = vec![7; BUFFER_LEN];
    let limit = 4 * BUFFER_LEN;
    for is_map in [false, true] {
        let metadata = metadata("numpy", is_map);
        let frames = [&[0; 24][..], &metadata, &buffer];
        let mut input = Decoder::new(&frames).unwrap();
        let value = input.fields(1, 1).unwrap().next::<Value<'_>>().expect("views are free");
        let offset = fifth(&metadata);
        let too_long = EncodeErrorKind::CopyLimit { limit, offset };
        let error = blob::encode_value(&value, &mut []).unwrap_err();
        assert_eq!(error, EncodeError::new(too_long));
        let mut buffers = Vec::new();
        let mut encoder = Encoder::new(&mut [], &mut buffers);
        assert_eq!(value.encode(&mut encoder), Err(EncodeError::new(too_long)));
        assert_eq!(
            OwnedValue::copy_limited(value, limit).map(drop),
            Err(at(offset, Kind::CopyLimit { limit }))
        );
        if is_map {
            let mut input = Decoder::new(&frames).unwrap();
            let map = input.fields(1, 1).unwrap().next::<MapOf<'_, ArrayView<'_>>>().unwrap();
            let mut encoder = Encoder::new(&mut [], &mut buffers);
            assert_eq!(map.encode(&mut encoder), Err(EncodeError::new(too_long)));
        }
    }
}

#[test]
fn small_buffers_are_shared_by_any_number_of_descriptors() {
    let items = (0..COUNT).map(|_| map(&with("numpy", "shape", list([6]))));
    let metadata = packed(&Item::Array(vec![Item::Array(items.collect())]));
    let all = field::<Vec<OwnedArray>>(&metadata).expect("12,000 bytes are few");
    assert_eq!(all.len(), COUNT);
}
