use super::*;

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

#[test]
fn rejects_extensions_in_metadata() {
    let error = kinds(&[0x91, 0xd4, 1, 0]).unwrap_err();
    assert!(matches!(error.kind, DecodeErrorKind::WrongType { found: Type::Extension, .. }));
}
