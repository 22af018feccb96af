//! Our MessagePack reader and writer against the independent `rmp` and `rmpv`: on generated items, on
//! damaged items and on random bytes.
//!
//! Known differences, all of them input that `rmpv` accepts: it keeps strings that are not UTF-8, and reads
//! the marker 0xc1, which is never used, as nil.

use cortex_wire::msgpack::{Int, Reader, Token, Writer};
use cortex_wire::{Decode, DecodeError, DecodeErrorKind, Decoder, Encode, Encoder, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use rmpv::Value as Item;

fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let chosen = |name| std::env::var_os(name).is_some();
    ProptestConfig {
        cases: if chosen("PROPTEST_CASES") { default.cases } else { 2000 },
        rng_seed: if chosen("PROPTEST_RNG_SEED") { default.rng_seed } else { RngSeed::Fixed(1) },
        failure_persistence: None,
        ..default
    }
}

fn int() -> impl Strategy<Value = Item> {
    prop_oneof![
        any::<u64>().prop_map(Item::from),
        any::<i64>().prop_map(Item::from),
        (any::<i64>(), 0_u32..64).prop_map(|(value, shift)| Item::from(value >> shift)),
        (any::<u64>(), 0_u32..64).prop_map(|(value, shift)| Item::from(value >> shift)),
    ]
}

/// Short, and around the lengths at which heads grow.
fn len() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0_usize..20, 1 => select(&[31_usize, 32, 33, 255, 256, 257][..])]
}

fn item() -> impl Strategy<Value = Item> {
    let leaf = prop_oneof![
        Just(Item::Nil),
        any::<bool>().prop_map(Item::from),
        int(),
        any::<u32>().prop_map(|bits| Item::F32(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Item::F64(f64::from_bits(bits))),
        "\\PC{0,9}".prop_map(Item::from),
        len().prop_map(|len| Item::from("y".repeat(len))),
        len().prop_flat_map(|len| vec(any::<u8>(), len)).prop_map(Item::Binary),
        (any::<i8>(), len()).prop_map(|(ty, len)| Item::Ext(ty, vec![7; len])),
    ]
    .boxed();
    let flat = leaf.clone();
    leaf.prop_recursive(5, 24, 4, move |inner| {
        prop_oneof![
            4 => vec(inner.clone(), 0..5).prop_map(Item::Array),
            4 => vec((inner.clone(), inner), 0..5).prop_map(Item::Map),
            1 => vec(flat.clone(), 15..17).prop_map(Item::Array),
            1 => vec((flat.clone(), flat.clone()), 15..17).prop_map(Item::Map),
        ]
    })
}

/// Damage to some bytes.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        3 => (any::<Index>(), 0_u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        1 => any::<Index>().prop_map(Damage::Cut),
        2 => (any::<Index>(), vec(any::<u8>(), 1..6)).prop_map(|(at, new)| Damage::Insert(at, new)),
        1 => any::<Index>().prop_map(Damage::Remove),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let within = |at: &Index, len| if len == 0 { None } else { Some(at.index(len)) };
        match damage {
            Damage::Flip(at, bit) => {
                if let Some(at) = within(at, bytes.len()) {
                    bytes[at] ^= 1 << bit;
                }
            }
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Damage::Insert(at, new) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, new.iter().copied());
            }
            Damage::Remove(at) => {
                if let Some(at) = within(at, bytes.len()) {
                    bytes.remove(at);
                }
            }
        }
    }
    bytes
}

/// The bytes that the oracle writes.
fn written(item: &Item) -> Vec<u8> {
    let mut out = Vec::new();
    rmpv::encode::write_value(&mut out, item).expect("a vector takes everything");
    out
}

/// The item with every float as a double, as we read and write them.
fn widened(item: Item) -> Item {
    match item {
        Item::F32(value) => Item::F64(value.into()),
        Item::Array(items) => Item::Array(items.into_iter().map(widened).collect()),
        Item::Map(pairs) => Item::Map(
            pairs.into_iter().map(|(key, value)| (widened(key), widened(value))).collect(),
        ),
        item => item,
    }
}

/// The next item of our reader, as an item of the oracle.
fn read(reader: &mut Reader<'_>) -> Result<Item, DecodeError> {
    Ok(match reader.read()? {
        Token::Nil => Item::Nil,
        Token::Bool(value) => value.into(),
        Token::Int(value) => match u64::try_from(value) {
            Ok(value) => value.into(),
            Err(_) => i64::try_from(value).expect("it is negative").into(),
        },
        Token::Float(value) => value.into(),
        Token::Str(value) => value.into(),
        Token::Bytes(value) => Item::Binary(value.to_vec()),
        Token::Extension(ty, value) => Item::Ext(ty, value.to_vec()),
        Token::List(count) => {
            Item::Array((0..count).map(|_| read(reader)).collect::<Result<_, _>>()?)
        }
        Token::Map(count) => Item::Map(
            (0..count).map(|_| Ok((read(reader)?, read(reader)?))).collect::<Result<_, _>>()?,
        ),
    })
}

/// The bytes that our writer writes.
fn write(item: &Item, out: &mut Writer<'_>) {
    let fits = "the format takes it";
    match item {
        Item::Nil => out.write_nil(),
        Item::Boolean(value) => out.write_bool(*value),
        Item::Integer(value) => match value.as_u64() {
            Some(value) => out.write_int(value),
            None => out.write_int(value.as_i64().expect("it is negative")),
        },
        Item::F32(value) => out.write_f64((*value).into()),
        Item::F64(value) => out.write_f64(*value),
        Item::String(value) => out.write_str(value.as_str().expect("UTF-8")).expect(fits),
        Item::Binary(value) => out.write_bytes(value).expect(fits),
        Item::Ext(ty, value) => {
            out.write_extension(*ty, value.len()).expect(fits);
            out.write_raw(value);
        }
        Item::Array(items) => {
            out.write_list(items.len()).expect(fits);
            items.iter().for_each(|item| write(item, out));
        }
        Item::Map(pairs) => {
            out.write_map(pairs.len()).expect(fits);
            for (key, value) in pairs {
                write(key, out);
                write(value, out);
            }
        }
    }
}

/// Both read the same from the front of `input`, or both refuse.
fn assert_agree(input: &[u8]) -> Result<(), TestCaseError> {
    let mut rest = input;
    let theirs = rmpv::decode::read_value(&mut rest);
    let mut reader = Reader::new(input);
    let ours = read(&mut reader);
    let mut skipper = Reader::new(input);
    let skipped = skipper.skip();
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            // Compared as bytes: NaN is not equal to itself.
            prop_assert_eq!(written(&ours), written(&widened(theirs)));
            prop_assert_eq!(reader.rest(), rest);
            prop_assert_eq!(skipped, Ok(()));
            prop_assert_eq!(skipper.rest(), rest);
        }
        (Err(error), theirs) => {
            let lets_pass = matches!(
                error.kind,
                DecodeErrorKind::InvalidUtf8 | DecodeErrorKind::ReservedMarker
            );
            prop_assert!(theirs.is_err() || lets_pass, "we refuse: {}", error);
            prop_assert!(error.offset <= input.len());
            prop_assert_eq!(skipped, Err(error));
            prop_assert_eq!(skipper.rest(), input);
        }
        (Ok(ours), Err(error)) => prop_assert!(false, "we read {}, they refuse: {}", ours, error),
    }
    Ok(())
}

/// Input that decodes as dynamic values encodes to the bytes that the oracle writes for it.
fn assert_rewritten(metadata: &[u8]) -> Result<(), TestCaseError> {
    let frames: [&[u8]; 2] = [&[], metadata];
    let mut input = Decoder::new(&frames).expect("there is metadata");
    let Ok(value) = Value::decode(&mut input) else { return Ok(()) };
    let mut out = vec![0; 4 * metadata.len() + 16];
    let mut buffers = Vec::new();
    let mut encoder = Encoder::new(&mut out, &mut buffers);
    value.encode(&mut encoder).expect("a decoded value encodes");
    let ours = encoder.finish().expect("it fits");
    let theirs = rmpv::decode::read_value(&mut &metadata[..]).expect("we read it");
    prop_assert_eq!(ours, written(&widened(theirs)));
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn both_write_the_same_bytes(item in item()) {
        let item = widened(item);
        let theirs = written(&item);
        let mut out = vec![0; theirs.len()];
        let mut writer = Writer::new(&mut out);
        write(&item, &mut writer);
        prop_assert_eq!(writer.finish(), Ok(&theirs[..]));
    }

    #[test]
    fn both_read_the_same_items(item in item()) {
        let bytes = written(&item);
        assert_agree(&bytes)?;
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(written(&read(&mut reader).expect("it is valid")), written(&widened(item)));
        prop_assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn both_read_or_refuse_damaged_items(item in item(), damages in vec(damage(), 1..4)) {
        let bytes = damaged(written(&item), &damages);
        assert_agree(&bytes)?;
        assert_rewritten(&bytes)?;
    }

    #[test]
    fn both_read_or_refuse_bytes_of_no_sense(bytes in vec(any::<u8>(), 0..40)) {
        assert_agree(&bytes)?;
        assert_rewritten(&bytes)?;
    }

    #[test]
    fn heads_are_the_smallest_at_every_length(shift in 0_u32..32, near in any::<u8>(), ty: i8) {
        let len = (1_u32 << shift).wrapping_add(u32::from(near)).wrapping_sub(128);
        let count = len as usize;
        let head = |write: &dyn Fn(&mut Writer<'_>)| {
            let mut out = [0; 8];
            let mut writer = Writer::new(&mut out);
            write(&mut writer);
            writer.finish().expect("a head is short").to_vec()
        };
        let mut theirs = Vec::new();
        rmp::encode::write_array_len(&mut theirs, len).expect("it fits");
        prop_assert_eq!(head(&|out| out.write_list(count).expect("it fits")), &theirs[..]);
        theirs.clear();
        rmp::encode::write_map_len(&mut theirs, len).expect("it fits");
        prop_assert_eq!(head(&|out| out.write_map(count).expect("it fits")), &theirs[..]);
        theirs.clear();
        rmp::encode::write_bin_len(&mut theirs, len).expect("it fits");
        prop_assert_eq!(head(&|out| out.write_bytes_head(count).expect("it fits")), &theirs[..]);
        theirs.clear();
        rmp::encode::write_ext_meta(&mut theirs, len, ty).expect("it fits");
        prop_assert_eq!(head(&|out| out.write_extension(ty, count).expect("it fits")), &theirs[..]);
    }

    #[test]
    fn integers_are_the_smallest(value: i64, shift in 0_u32..64) {
        let value = value >> shift;
        let mut theirs = Vec::new();
        rmp::encode::write_sint(&mut theirs, value).expect("it fits");
        let mut out = [0; 9];
        let mut writer = Writer::new(&mut out);
        writer.write_int(value);
        prop_assert_eq!(writer.finish(), Ok(&theirs[..]));
        prop_assert_eq!(Reader::new(&theirs).read_int(), Ok(Int::from(value)));
    }
}
