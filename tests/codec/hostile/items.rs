//! Lengths, nesting, strings and types of single items.

use super::*;

#[test]
fn lengths_beyond_the_buffer_are_refused_where_they_stand() {
    // (head, bytes that it claims): strings, bytes, extensions, lists, maps.
    let heads: &[(&[u8], u64)] = &[
        (&[0xa2], 2),
        (&[0xd9, 0xff], 0xff),
        (&[0xda, 0xff, 0xff], 0xffff),
        (&[0xdb, 0xff, 0xff, 0xff, 0xff], 0xffff_ffff),
        (&[0xc4, 0xff], 0xff),
        (&[0xc5, 0xff, 0xff], 0xffff),
        (&[0xc6, 0xff, 0xff, 0xff, 0xff], 0xffff_ffff),
        (&[0xc7, 0xff, 1], 0xff),
        (&[0xc8, 0xff, 0xff, 1], 0xffff),
        (&[0xc9, 0xff, 0xff, 0xff, 0xff, 1], 0xffff_ffff),
        (&[0xd8, 1], 16),
        (&[0x92], 2),
        (&[0xdc, 0xff, 0xff], 0xffff),
        (&[0x82], 4),
        (&[0xde, 0xff, 0xff], 0x1_fffe),
    ];
    for (head, claimed) in heads {
        let metadata = [&[0x92, 0xc0][..], head, b"x"].concat();
        let frames = [&[0; 24][..], &metadata];
        let error = Walk::new(&frames).unwrap().find_map(Result::err);
        let truncated = Kind::Truncated { needed: *claimed, available: 1 };
        assert_eq!(error, Some(at(2, truncated)), "{head:02x?}");
    }
}

#[test]
fn four_billion_items_in_five_bytes_are_refused_at_once() {
    for (head, needed, expected) in [
        (0xdd_u8, 0xffff_ffff_u64, Type::List),
        (0xdf, 0x1_ffff_fffe, Type::Map),
        (0xdb, 0xffff_ffff, Type::Str),
        (0xc6, 0xffff_ffff, Type::Bytes),
    ] {
        let five = [head, 0xff, 0xff, 0xff, 0xff];
        let truncated = Kind::Truncated { needed, available: 0 };
        assert_eq!(Reader::new(&five).read(), Err(at(0, truncated)));
        assert_eq!(Reader::new(&five).skip(), Err(at(0, truncated)));
        let frames = [&[0; 24][..], &five];
        assert_eq!(Walk::new(&frames).unwrap().next(), Some(Err(at(0, truncated))));
        let bare: [&[u8]; 0] = [];
        assert_eq!(decode_bare::<ListMessage<'_>>(&five, &bare).unwrap_err(), at(0, truncated));
        assert_eq!(Request::decode(&five), Err(at(0, truncated)));

        // The same as a field, for every way to read it.
        let metadata = [&[0x91][..], &five].concat();
        assert_eq!(refused(&metadata), at(1, truncated));
        let error = Err(at(1, truncated));
        match expected {
            Type::List => {
                assert_eq!(field::<Vec<u64>>(&metadata).map(drop), error);
                assert_eq!(field::<[f64; 3]>(&metadata).map(drop), error);
                assert_eq!(field::<List<'_>>(&metadata).map(drop), error);
            }
            Type::Map => {
                assert_eq!(field::<Map<'_>>(&metadata).map(drop), error);
                let arrays = field::<cortex_wire::MapOf<'_, ArrayView<'_>>>(&metadata);
                assert_eq!(arrays.map(drop), error);
            }
            Type::Str => assert_eq!(field::<String>(&metadata).map(drop), error),
            _ => assert_eq!(field::<Vec<u8>>(&metadata).map(drop), error),
        }

        // And as a tagged value.
        let tagged = [&[5, 0, 0, 0, 5][..], &five].concat();
        assert_eq!(blob::decode_value(&tagged), Err(at(5, truncated)));
    }
    let length = [6, 0xff, 0xff, 0xff, 0xff];
    let truncated = Kind::Truncated { needed: 0xffff_ffff, available: 0 };
    assert_eq!(blob::decode_value(&length), Err(at(5, truncated)));
}

/// A type that holds itself, written as its author might.
#[derive(Debug, PartialEq)]
struct Tree(Vec<Tree>);

impl Field for Tree {
    const TYPE: Type = Type::List;
}

impl Encode for Tree {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        self.0.encode(out)
    }
}

impl<'a> Decode<'a> for Tree {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Vec::decode(input).map(Tree)
    }
}

#[test]
fn nesting_of_any_depth_is_refused_at_the_limit_on_a_small_stack() {
    const LEVELS: usize = 100_000;
    let lists = vec![0x91; LEVELS];
    let maps = [&[0x91][..], &[0x81, 0xa1, b'k'].repeat(LEVELS)].concat();
    let test = move || {
        let too_deep = at(MAX_DEPTH, Kind::TooDeep);
        assert_eq!(refused(&lists), too_deep);
        assert_eq!(field::<List<'_>>(&lists), Err(too_deep));
        assert_eq!(field::<Vec<OwnedValue>>(&lists), Err(too_deep));
        assert_eq!(field::<heapless::Vec<Vec<Value<'_>>, 4>>(&lists), Err(too_deep));
        assert_eq!(refused(&maps), at(1 + 3 * (MAX_DEPTH - 1), Kind::TooDeep));
        assert_eq!(field::<Map<'_>>(&maps), Err(at(1 + 3 * (MAX_DEPTH - 1), Kind::TooDeep)));

        let tagged = [&[5][..], &(LEVELS as u32).to_be_bytes(), &lists].concat();
        assert_eq!(blob::decode_value(&tagged), Err(at(5 + MAX_DEPTH, Kind::TooDeep)));
        let header = Header { fingerprint: ListMessage::FINGERPRINT, ..Header::default() };
        let whole = [&header.encode()[..], &tagged].concat();
        let too_deep = at(24 + 5 + MAX_DEPTH, Kind::TooDeep);
        assert_eq!(blob::decode_any(&whole), Err(too_deep));
        assert_eq!(blob::decode::<ListMessage<'_>>(&whole), Err(too_deep));

        // Where the content does not matter, it is skipped: in one pass, at any depth.
        let nested = [&lists[1..], &[0xc0]].concat();
        assert_eq!(Reader::new(&nested).skip(), Ok(()));
        let unknown = [&[0x82, 0xa4][..], b"more", &nested, &[0xa7], b"command", &[5]].concat();
        assert!(Request::decode(&unknown).is_ok());
        let mut array = packed(&list([map(&descriptor("numpy"))]));
        array[1] += 1;
        array.extend([&[0xa4][..], b"more", &nested].concat());
        assert!(field::<ArrayView<'_>>(&array).is_ok());
        assert!(field::<Value<'_>>(&array).is_ok());
    };
    let small = thread::Builder::new().stack_size(128 << 10).spawn(test).expect("a thread");
    small.join().expect("no panic");

    // A type that recurses by itself is stopped as well.
    let lists = vec![0x91; LEVELS];
    assert_eq!(field::<Tree>(&lists), Err(at(MAX_DEPTH, Kind::TooDeep)));
}

#[test]
fn what_is_nested_to_the_limit_is_read_written_and_walked_alike() {
    for (levels, fits) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
        let metadata = [&vec![0x91; levels - 1][..], &[0x90]].concat();
        let frames = [&[0; 24][..], &metadata];
        assert_eq!(Walk::new(&frames).unwrap().all(|event| event.is_ok()), fits);
        assert_eq!(field::<List<'_>>(&metadata).is_ok(), fits);
        assert_eq!(field::<Vec<Vec<Value<'_>>>>(&metadata).is_ok(), fits);
        assert_eq!(field::<Tree>(&metadata).is_ok(), fits);
        let bare: [&[u8]; 0] = [];
        let message = decode_bare::<ListMessage<'_>>(&metadata, &bare);
        assert_eq!(message.is_ok(), fits);
        let mut out = [0; 2 * MAX_DEPTH];
        let mut buffers = Vec::new();
        match message {
            Ok(message) => assert_eq!(encode(&message, &mut out, &mut buffers), Ok(&metadata[..])),
            // A depth that is refused in reading is refused in writing, too.
            Err(_) => {
                let mut tree = Tree(Vec::new());
                for _ in 0..levels - 1 {
                    tree = Tree(vec![tree]);
                }
                let mut encoder = Encoder::new(&mut out, &mut buffers);
                assert_eq!(tree.encode(&mut encoder).unwrap_err().kind, EncodeErrorKind::TooDeep);
            }
        }
    }
}

#[test]
fn strings_that_are_not_utf8_are_refused() {
    for text in
        [&[0xff][..], &[0xc3], &[0xed, 0xa0, 0x80], &[0xc0, 0x80], &[0xf5, 0x80, 0x80, 0x80]]
    {
        let metadata = [&[0x91, 0xa0 | text.len() as u8][..], text].concat();
        assert_eq!(refused(&metadata), at(1, Kind::InvalidUtf8));
        assert_eq!(field::<&str>(&metadata), Err(at(1, Kind::InvalidUtf8)));
        assert_eq!(field::<String>(&metadata), Err(at(1, Kind::InvalidUtf8)));
        assert_eq!(field::<Option<&str>>(&metadata), Err(at(1, Kind::InvalidUtf8)));
        assert_eq!(field::<u8>(&metadata), Err(at(1, Kind::InvalidUtf8)));
        // As a key, and in a text of a tagged tensor.
        let key = [&[0x91, 0x81, 0xa0 | text.len() as u8][..], text, &[0xc0]].concat();
        assert_eq!(refused(&key), at(2, Kind::InvalidUtf8));
        let tensor = [&[3, 0, 0, text.len() as u8][..], text, &[0; 9]].concat();
        assert_eq!(blob::decode_value(&tensor), Err(at(4, Kind::InvalidUtf8)));
    }
}

#[test]
fn the_marker_that_is_never_used_is_refused() {
    assert_eq!(refused(&[0x91, 0xc1]), at(1, Kind::ReservedMarker));
    assert_eq!(refused(&[0xc1]), at(0, Kind::ReservedMarker));
    assert_eq!(refused(&[0x91, 0x81, 0xc1, 0xc0]), at(2, Kind::ReservedMarker));
    assert_eq!(field::<f64>(&[0x91, 0xc1]), Err(at(1, Kind::ReservedMarker)));
    assert_eq!(field::<Option<bool>>(&[0x91, 0xc1]), Err(at(1, Kind::ReservedMarker)));
    assert_eq!(Reader::new(&[0xc1]).skip(), Err(at(0, Kind::ReservedMarker)));
    assert_eq!(Response::decode(&[0xc1]), Err(at(0, Kind::ReservedMarker)));
}

#[test]
fn extensions_in_metadata_are_refused() {
    // Also those that stand for arrays in a blob.
    for ty in [1, 2, 5, 0xff] {
        let metadata = [0x91, 0xc7, 3, ty, 0x90, 0x90, 0x90];
        let wrong = |expected| at(1, Kind::WrongType { expected, found: Type::Extension });
        assert_eq!(refused(&metadata), wrong(Type::Any));
        assert_eq!(field::<ArrayView<'_>>(&metadata), Err(wrong(Type::Array)));
        assert_eq!(field::<&[u8]>(&metadata), Err(wrong(Type::Bytes)));
        assert_eq!(field::<Option<i64>>(&metadata), Err(wrong(Type::Int)));
    }
}
