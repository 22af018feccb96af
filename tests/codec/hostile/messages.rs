//! Whole messages, headers and discovery bodies.

use super::*;

#[test]
fn a_users_map_with_the_reserved_key_is_refused_beside_frames() {
    // At the front it is taken for a descriptor, which it is not.
    let metadata = packed(&list([map(&[("__cortex_oob__", "mine".into())])]));
    let missing = Kind::DescriptorKeyMissing(DescriptorKey::Buffer);
    assert_eq!(refused(&metadata), at(1, missing));
    // Behind something nested it cannot be one.
    let user = map(&[("a", list([list([1])])), ("__cortex_oob__", "mine".into())]);
    let metadata = packed(&list([user.clone()]));
    let key_at = value_of(&metadata, "__cortex_oob__") - 15;
    assert_eq!(refused(&metadata), at(key_at, Kind::ReservedKey));
    // Where the type says that it is a map of something.
    let arrays = field::<cortex_wire::MapOf<'_, Value<'_>>>(&metadata).map(drop);
    assert_eq!(arrays, Err(at(key_at, Kind::ReservedKey)));
    type Owned = std::collections::BTreeMap<String, OwnedValue>;
    assert_eq!(field::<Owned>(&metadata), Err(at(key_at, Kind::ReservedKey)));

    // In a tagged value arrays are extensions and the key is a key; writing it beside frames is
    // refused.
    let content = packed(&user);
    let tagged = [&[4][..], &(content.len() as u32).to_be_bytes(), &content].concat();
    let (value, len) = blob::decode_value(&tagged).expect("it decodes");
    assert_eq!(len, tagged.len());
    let mut out = [0; 64];
    assert_eq!(blob::encode_value(&value, &mut out), Ok(&tagged[..]));
    let mut buffers = Vec::new();
    let mut encoder = Encoder::new(&mut out, &mut buffers);
    assert_eq!(value.encode(&mut encoder).unwrap_err().kind, EncodeErrorKind::ReservedKey);
}

#[test]
fn map_keys_of_other_types_are_refused() {
    for (key, found) in [
        (Item::Nil, Type::Nil),
        (true.into(), Type::Bool),
        (1.into(), Type::Int),
        (1.5.into(), Type::Float),
        (list([1]), Type::List),
        (map(&[]), Type::Map),
        (Item::Ext(1, vec![0]), Type::Extension),
    ] {
        let metadata = packed(&list([Item::Map(vec![(key, Item::Nil)])]));
        assert_eq!(refused(&metadata), at(2, Kind::MapKey { found }));
    }
}

#[test]
fn fingerprints_of_other_types_are_refused() {
    let (expected, found) = (StringMessage::FINGERPRINT, IntMessage::FINGERPRINT);
    let header = Header { fingerprint: found, ..Header::default() };
    let frames = [&header.encode()[..], &[0x91, 0xa1, b'x']];
    let mismatch = at(0, Kind::Fingerprint { expected, found });
    assert_eq!(decode::<StringMessage<'_>>(&frames), Err(mismatch));
    let whole = [&header.encode()[..], &[5, 0, 0, 0, 3, 0x91, 0xa1, b'x']].concat();
    assert_eq!(blob::decode::<StringMessage<'_>>(&whole), Err(mismatch));
    assert_eq!(decode::<StringMessage<'_>>(&[&whole]), Err(mismatch));
    // The documented fingerprint is accepted.
    let header = Header { fingerprint: StringMessage::ACCEPT[0], ..Header::default() };
    let frames = [&header.encode()[..], &[0x91, 0xa1, b'x']];
    assert_eq!(decode::<StringMessage<'_>>(&frames), Ok(StringMessage { data: "x" }));
}

#[test]
fn headers_of_another_length_are_refused() {
    let header = Header { fingerprint: StringMessage::FINGERPRINT, ..Header::default() };
    let long = [&header.encode()[..], &[0; 8]].concat();
    for len in (0..long.len()).filter(|&len| len != Header::LEN) {
        let frames = [&long[..len], &[0x91, 0xa1, b'x']];
        let wrong = at(0, Kind::HeaderLength { found: len });
        assert_eq!(decode::<StringMessage<'_>>(&frames), Err(wrong));
    }
    let nothing: [&[u8]; 0] = [];
    assert_eq!(decode::<StringMessage<'_>>(&nothing), Err(at(0, Kind::NoFrames)));
    assert_eq!(Walk::new(&nothing).map(drop), Err(at(0, Kind::NoFrames)));
}

#[test]
fn field_counts_and_trailing_bytes_are_refused() {
    let bare: [&[u8]; 0] = [];
    let read = |metadata| decode_bare::<HeaderMessage<'_>>(metadata, &bare).map(drop);
    let count = |found| at(0, Kind::FieldCount { required: 2, total: 4, found });
    assert_eq!(read(&[0x91, 1]), Err(count(1)));
    assert_eq!(read(&[0x95, 1, 2, 0xa0, 3, 4]), Err(count(5)));
    assert_eq!(read(&[0x92, 1, 2]), Ok(()));
    assert_eq!(read(&[0x92, 1, 2, 3, 4]), Err(at(3, Kind::TrailingBytes { count: 2 })));
    assert_eq!(read(&[]), Err(at(0, Kind::Truncated { needed: 1, available: 0 })));
    let wrong = Kind::WrongType { expected: Type::List, found: Type::Map };
    assert_eq!(read(&[0x80]), Err(at(0, wrong)));
}

#[test]
fn multipart_frames_are_not_taken_for_a_blob() {
    let header = Header { fingerprint: ListMessage::FINGERPRINT, ..Header::default() }.encode();
    for metadata in [&[0x91, 0x90][..], &[0xdc, 0, 1, 0x90], &[0xdd, 0, 0, 0, 1, 0x90]] {
        let joined = [&header[..], metadata].concat();
        assert_eq!(decode::<ListMessage<'_>>(&[&joined]), Err(at(24, Kind::MultipartFrames)));
        assert_eq!(blob::decode_any(&joined), Err(at(24, Kind::MultipartFrames)));
    }
    for found in [0, 1, 2, 3, 4, 6, 7, 0x80, 0xff] {
        let other = [&header[..], &[found, 0, 0, 0, 0]].concat();
        assert_eq!(blob::decode_any(&other), Err(at(24, Kind::Tag { found })));
    }
    let long = [&header[..], &[5, 0, 0, 0, 2, 0x91, 0x90, 0, 0]].concat();
    assert_eq!(decode::<ListMessage<'_>>(&[&long]), Err(at(31, Kind::TrailingBytes { count: 2 })));
    let short = [&header[..], &[5, 0, 0, 0, 3, 0x91, 0x90, 0]].concat();
    assert_eq!(decode::<ListMessage<'_>>(&[&short]), Err(at(31, Kind::TrailingBytes { count: 1 })));
}

#[test]
fn discovery_bodies_of_another_form_are_refused() {
    let body = |pairs: &[(&str, Item)]| packed(&map(pairs));
    let key = |key| Kind::DiscoveryKey(key);
    let wrong = |expected, found| Kind::WrongType { expected, found };
    let command = ("command", Item::from(5));
    for (pairs, name, kind) in [
        (vec![("command", "5".into())], "command", wrong(Type::Int, Type::Str)),
        (vec![("command", 6.into())], "command", Kind::IntegerRange),
        (vec![("command", (-1).into())], "command", Kind::IntegerRange),
        (vec![command.clone(), command.clone()], "command", key(DiscoveryKey::Command)),
        (vec![("topic_name", 1.into())], "topic_name", wrong(Type::Str, Type::Int)),
        (vec![("topic_info", "x".into())], "topic_info", wrong(Type::Bytes, Type::Str)),
        (vec![("ext", 1.into())], "ext", wrong(Type::Map, Type::Int)),
        (vec![("lease_ms", Item::Nil), ("ext", Item::Nil)], "ext", wrong(Type::Map, Type::Nil)),
    ] {
        let bytes = body(&pairs);
        let error = Request::decode(&bytes).expect_err("it is broken");
        assert_eq!(error, at(value_of(&bytes, name), kind), "{pairs:?}");
    }
    assert_eq!(Request::decode(&[0x80]), Err(at(0, key(DiscoveryKey::Command))));
    assert_eq!(Response::decode(&[0x80]), Err(at(0, key(DiscoveryKey::Status))));
    let trailing = [&body(&[command])[..], &[0]].concat();
    let len = trailing.len() - 1;
    assert_eq!(Request::decode(&trailing), Err(at(len, Kind::TrailingBytes { count: 1 })));
    let wide = body(&[("command", 5.into()), ("ext", map(&[("lease_ms", (1_u64 << 32).into())]))]);
    let at_lease = value_of(&wide, "lease_ms");
    assert_eq!(Request::decode(&wide), Err(at(at_lease, Kind::IntegerRange)));
    // A topic that lacks a key: the offset is that of its map.
    let info = body(&[("name", "/t".into())]);
    let bytes = body(&[("command", 1.into()), ("topic_info", Item::Binary(info.clone()))]);
    let info_at = bytes.len() - info.len();
    assert_eq!(Request::decode(&bytes), Err(at(info_at, key(DiscoveryKey::Address))));
}

#[test]
fn a_reader_does_not_move_on_an_error() {
    for input in [&[0xc1][..], &[0xa2, b'x'], &[0xa1, 0xff], &[0x92, 1], &[0xcd, 1]] {
        let mut reader = Reader::new(input);
        assert!(reader.read().is_err());
        assert!(reader.skip().is_err());
        assert!(reader.read_bool().is_err());
        assert_eq!((reader.offset(), reader.rest()), (0, input));
    }
    let mut reader = Reader::new(&[7]);
    assert!(reader.read_str().is_err());
    assert_eq!(reader.read(), Ok(Token::Int(7.into())));
}
