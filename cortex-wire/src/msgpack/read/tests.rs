use super::*;

/// One of every marker class, smallest and largest forms.
const ITEMS: &[&[u8]] = &[
    &[0x00],
    &[0x7f],
    &[0xe0],
    &[0xc0],
    &[0xc2],
    &[0xc3],
    &[0xa1, b'x'],
    &[0xd9, 1, b'x'],
    &[0xda, 0, 1, b'x'],
    &[0xdb, 0, 0, 0, 1, b'x'],
    &[0xc4, 1, 9],
    &[0xc5, 0, 1, 9],
    &[0xc6, 0, 0, 0, 1, 9],
    &[0xc7, 1, 5, 9],
    &[0xc8, 0, 1, 5, 9],
    &[0xc9, 0, 0, 0, 1, 5, 9],
    &[0xca, 0x3f, 0x80, 0, 0],
    &[0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0],
    &[0xcc, 1],
    &[0xcd, 0, 1],
    &[0xce, 0, 0, 0, 1],
    &[0xcf, 0, 0, 0, 0, 0, 0, 0, 1],
    &[0xd0, 0xff],
    &[0xd1, 0xff, 0xff],
    &[0xd2, 0xff, 0xff, 0xff, 0xff],
    &[0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xd4, 5, 0],
    &[0xd5, 5, 0, 0],
    &[0xd6, 5, 0, 0, 0, 0],
    &[0xd7, 5, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0xd8, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0x91, 0x01],
    &[0xdc, 0, 1, 0x01],
    &[0xdd, 0, 0, 0, 1, 0x01],
    &[0x81, 0x01, 0x01],
    &[0xde, 0, 1, 0x01, 0x01],
    &[0xdf, 0, 0, 0, 1, 0x01, 0x01],
];

#[test]
fn skips_every_item_completely() {
    for item in ITEMS {
        let mut reader = Reader::new(item);
        reader.skip().unwrap();
        reader.finish().unwrap();
    }
}

#[test]
fn rejects_truncation_at_every_byte_and_does_not_advance() {
    for item in ITEMS {
        for len in 0..item.len() {
            let mut reader = Reader::new(&item[..len]);
            let error = reader.skip().unwrap_err();
            assert!(
                matches!(error.kind, DecodeErrorKind::Truncated { .. }),
                "{item:02x?}[..{len}]: {error}"
            );
            assert_eq!(reader.offset(), 0);
        }
    }
}

#[test]
fn counts_are_checked_against_the_bytes_left() {
    for head in [0xdd, 0xdf, 0xdb, 0xc6] {
        let input = [head, 0xff, 0xff, 0xff, 0xff];
        let error = Reader::new(&input).read().unwrap_err();
        assert!(matches!(error.kind, DecodeErrorKind::Truncated { available: 0, .. }));
    }
}

#[test]
fn reports_a_wrong_type_and_does_not_consume_it() {
    let mut reader = Reader::new(&[0x01, 0xa0]);
    let error = reader.read_str().unwrap_err();
    assert_eq!(
        error,
        DecodeError::new(DecodeErrorKind::WrongType { expected: Type::Str, found: Type::Int }, 0)
    );
    assert_eq!(reader.read_int().unwrap(), 1.into());
}

#[test]
fn an_error_in_the_content_has_its_own_offset() {
    let error = Reader::new(&[0x92, 0x01, 0xc1]).skip().unwrap_err();
    assert_eq!(error, DecodeError::new(DecodeErrorKind::ReservedMarker, 2));
    let error = Reader::new(&[0x91, 0xa1, 0xff]).skip().unwrap_err();
    assert_eq!(error, DecodeError::new(DecodeErrorKind::InvalidUtf8, 1));
}
