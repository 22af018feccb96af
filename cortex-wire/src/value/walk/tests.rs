use super::*;
use crate::coding::encode::{Encode, Encoder, NoBuffers};
use crate::msgpack::steps;
#[cfg(feature = "alloc")]
use crate::value::owned::OwnedValue;

fn kinds(metadata: &[u8]) -> Result<usize, DecodeError> {
    let frames: [&[u8]; 2] = [&[], metadata];
    let mut count = 0;
    for event in Walk::new(&frames)? {
        event?;
        count += 1;
    }
    Ok(count)
}

#[test]
fn every_list_and_map_is_closed() {
    // [1, {"a": [], "b": {}}, "x"]
    let metadata = [0x93, 1, 0x82, 0xa1, b'a', 0x90, 0xa1, b'b', 0x80, 0xa1, b'x'];
    let frames: [&[u8]; 2] = [&[], &metadata];
    let mut depth = 0_i32;
    let mut text = heapless::String::<64>::new();
    for event in Walk::new(&frames).unwrap() {
        let letter = match event.unwrap() {
            Event::List { .. } => '[',
            Event::Map { .. } => '{',
            Event::Key(_) => 'k',
            Event::Value(_) => 'v',
            Event::End => '.',
        };
        depth += match letter {
            '[' | '{' => 1,
            '.' => -1,
            _ => 0,
        };
        text.push(letter).unwrap();
    }
    assert_eq!(text, "[v{k[.k{..v.");
    assert_eq!(depth, 0);
}

#[test]
fn rejects_nesting_beyond_the_limit() {
    let mut metadata = [0x91_u8; MAX_DEPTH + 1];
    metadata[MAX_DEPTH - 1] = 0x90;
    assert!(kinds(&metadata[..MAX_DEPTH]).is_ok());
    metadata[MAX_DEPTH - 1] = 0x91;
    metadata[MAX_DEPTH] = 0x90;
    let error = kinds(&metadata).unwrap_err();
    assert_eq!(error, DecodeError::new(DecodeErrorKind::TooDeep, MAX_DEPTH));
}

#[test]
fn keys_must_be_strings_or_bytes() {
    assert!(kinds(&[0x81, 0xa1, b'a', 0xc0]).is_ok());
    assert!(kinds(&[0x81, 0xc4, 1, b'a', 0xc0]).is_ok());
    let error = kinds(&[0x82, 0xa1, b'a', 0xc0, 0x01, 0xc0]).unwrap_err();
    assert_eq!(error, DecodeError::new(DecodeErrorKind::MapKey { found: Type::Int }, 4));
}

#[test]
fn rejects_bytes_after_the_value() {
    let error = kinds(&[0x90, 0xc0]).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::TrailingBytes { count: 1 });
    let error = kinds(&[0xc0, 0xc0]).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::TrailingBytes { count: 1 });
}

/// Inputs of about `len` bytes for which lookahead costs most.
fn adversarial(len: usize) -> std::vec::Vec<(&'static str, std::vec::Vec<u8>)> {
    let list = |count: usize| [&[0xdd][..], &(count as u32).to_be_bytes()].concat();
    let map = |count: usize| [&[0xdf][..], &(count as u32).to_be_bytes()].concat();
    let key = [0xa1, b'k'];
    let kind = [&[0xae][..], b"__cortex_oob__"].concat();
    let entry = [&key[..], &[0xc0]].concat();
    // The maximum depth, less the list of fields and the inner values.
    let deep = MAX_DEPTH - 4;
    let lists = std::vec![0x91; deep];
    let maps = [&[0x81][..], &key].concat().repeat(deep);
    let flat_map = [map(len / 3), entry.repeat(len / 3)].concat();
    let flat_list = [list(len), std::vec![0xc0; len]].concat();
    let text = [&[0xdb][..], &(len as u32).to_be_bytes(), &std::vec![b'x'; len]].concat();
    let small = [&[0x82][..], &entry, &key, &[0x92, 1, 2]].concat();
    // {k: {k: [nil, ..], k: [nil, ..], ..}, k: ..}, each level with a long flat list.
    let level = {
        let items = len / deep;
        [&[0x82][..], &key, &list(items), &std::vec![0xc0; items], &key].concat()
    };
    // Every map ends with the key of a descriptor, behind something nested.
    let late = [
        [&[0x82][..], &key].concat().repeat(deep),
        std::vec![0x91, 0xc0],
        [&kind[..], &[0xc0]].concat().repeat(deep),
    ]
    .concat();
    // A descriptor that contains others, which are skipped.
    let inner = [&[0x82][..], &kind, &[0xa5], b"numpy", &key].concat().repeat(len / 24);
    std::vec![
        ("flat list", flat_list.clone()),
        ("flat map", flat_map.clone()),
        ("text", text.clone()),
        ("flat list inside lists", [lists.clone(), flat_list.clone()].concat()),
        ("flat map inside lists", [lists.clone(), flat_map.clone()].concat()),
        ("flat list inside maps", [maps.clone(), flat_list].concat()),
        ("flat map inside maps", [maps.clone(), flat_map].concat()),
        ("text inside maps", [maps.clone(), text].concat()),
        ("nested lists", std::vec![0x91; len]),
        ("nested maps", [&[0x81][..], &key].concat().repeat(len / 3)),
        ("list of small maps", [list(len / 10), small.repeat(len / 10)].concat()),
        ("flat lists on every level", [level.repeat(deep), std::vec![0xc0]].concat()),
        ("late keys on every level", late),
        ("descriptors inside descriptors", [inner, std::vec![0xc0]].concat()),
        ("map of flat maps", {
            let inner = [&[0x8f][..], &entry.repeat(15)].concat();
            let pair = [&key[..], &inner].concat();
            [map(len / 48), pair.repeat(len / 48)].concat()
        }),
        ("claimed counts", list(len).repeat(len / 5)),
    ]
}

#[test]
fn work_is_bounded_by_the_length_of_the_input() {
    // Each byte is read for its own item and, in search of a descriptor's key, for the enclosing
    // map and the one around that; the bytes of a descriptor once more.
    const READS: usize = 4;
    for (name, item) in adversarial(30_000) {
        let metadata = [&[0x91][..], &item].concat();
        let frames: [&[u8]; 2] = [&[0; 24], &metadata];
        let most = READS * metadata.len();
        let (steps, _) = steps::of(|| Walk::new(&frames).unwrap().count());
        assert!(steps <= most, "walking {name}: {steps} steps for {} bytes", metadata.len());

        let (steps, value) = steps::of(|| {
            let mut input = Decoder::new(&frames).unwrap();
            input.fields(1, 1)?.next::<Value<'_>>()
        });
        assert!(steps <= most, "decoding {name}: {steps} steps for {} bytes", metadata.len());
        let Ok(value) = value else { continue };
        let (steps, written) = steps::of(|| {
            let mut buffers = NoBuffers;
            let mut encoder = Encoder::new(&mut [], &mut buffers);
            Encode::encode(&value, &mut encoder)
        });
        assert_eq!(written, Ok(()), "{name}");
        assert!(steps <= most, "writing {name}: {steps} steps for {} bytes", metadata.len());
        #[cfg(feature = "alloc")]
        {
            let (steps, _) = steps::of(|| OwnedValue::from(value));
            assert!(steps <= most, "copying {name}: {steps}, {} bytes", metadata.len());
        }
        let (steps, ()) = steps::of(|| match value {
            Value::List(list) => assert_eq!(list.iter().count(), list.len()),
            Value::Map(map) => assert_eq!(map.iter().count(), map.len()),
            _ => {}
        });
        assert!(steps <= most, "one level of {name}: {steps}, {} bytes", metadata.len());
    }
}

#[test]
fn rejects_extensions_in_metadata() {
    let error = kinds(&[0x91, 0xd4, 1, 0]).unwrap_err();
    assert!(matches!(error.kind, DecodeErrorKind::WrongType { found: Type::Extension, .. }));
}
