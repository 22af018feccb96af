//! `#[derive(Message)]`: its errors and its attributes.

use cortex_wire::{
    ArrayView, DecodeErrorKind, FieldInfo, Header, Message, Type, TypeInfo, decode, decode_bare,
    encode, fingerprint,
};

/// No file of `ui/` compiles; its `.stderr` is the expected error. After a change of the compiler's
/// own texts, `TRYBUILD=overwrite` updates them.
#[test]
fn unsupported_types_are_reported_at_the_field() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    // Here the compiler lists the supported types, which are more with the feature.
    if cfg!(not(feature = "alloc")) {
        cases.compile_fail("tests/ui/types/*.rs");
    }
}

/// The frames of one message without its topic.
fn frames<M: Message>(message: &M, fingerprint: u64) -> [heapless::Vec<u8, 128>; 2] {
    let mut out = [0; 128];
    let mut buffers = heapless::Vec::<&[u8], 1>::new();
    let metadata = encode(message, &mut out, &mut buffers).unwrap();
    assert!(buffers.is_empty(), "messages here have no arrays");
    let header = Header { fingerprint, ..Header::default() }.encode();
    [&header[..], metadata].map(|frame| heapless::Vec::from_slice(frame).unwrap())
}

#[derive(Debug, PartialEq, Message)]
#[cortex(class = "robot.msgs.Child", fingerprint = 0x0123_4567_89ab_cdef, accept = [7, u64::MAX])]
struct Child {
    value: i32,
}

#[test]
fn a_literal_fingerprint_is_published_and_others_are_accepted() {
    assert_eq!(Child::FINGERPRINT, 0x0123_4567_89ab_cdef);
    assert_eq!(Child::ACCEPT, [7, u64::MAX]);
    let child = Child { value: -5 };
    for fingerprint in [Child::FINGERPRINT, 7, u64::MAX] {
        assert!(TypeInfo::of::<Child>().accepts(fingerprint));
        assert_eq!(decode::<Child>(&frames(&child, fingerprint)).as_ref(), Ok(&child));
    }
    // The fingerprint computed from the name is not accepted.
    let found = fingerprint::wire("robot.msgs.Child");
    let frames = frames(&child, found);
    let error = decode::<Child>(&frames).unwrap_err();
    let expected = Child::FINGERPRINT;
    assert_eq!(error.kind, DecodeErrorKind::Fingerprint { expected, found });
}

#[derive(Debug, PartialEq, Message)]
#[cortex(class = "robot.msgs.Angle", accept = [fingerprint::schema(Self::CLASS, &[("rad", "float")])])]
struct Angle {
    rad: f64,
}

#[test]
fn without_a_literal_the_name_gives_the_fingerprint_and_accept_may_be_computed() {
    assert_eq!(Angle::FINGERPRINT, fingerprint::wire("robot.msgs.Angle"));
    assert_eq!(Angle::ACCEPT, [fingerprint::schema("robot.msgs.Angle", &[("rad", "float")])]);
    assert_eq!(Angle::LAYOUT, fingerprint::layout("robot.msgs.Angle", Angle::FIELDS));
    assert_eq!(TypeInfo::of::<Angle>().name(), "Angle");
}

#[derive(Debug, PartialEq, Message)]
#[cortex(class = "robot.msgs.Range", after_decode = Range::in_order)]
struct Range {
    from: i64,
    to: i64,
}

impl Range {
    fn in_order(&mut self) {
        *self = Self { from: self.from.min(self.to), to: self.from.max(self.to) };
    }
}

#[test]
fn a_function_runs_after_decoding_and_not_before_encoding() {
    let frames = frames(&Range { from: 9, to: 1 }, Range::FINGERPRINT);
    assert_eq!(frames[1][..], [0x92, 9, 1]);
    assert_eq!(decode::<Range>(&frames), Ok(Range { from: 1, to: 9 }));
}

const fn seven() -> u8 {
    7
}

#[derive(Debug, PartialEq, Message)]
#[cortex(class = "robot.msgs.Defaults")]
struct Defaults<'a> {
    first: bool,
    #[cortex(default)]
    name: &'a str,
    #[cortex(default = "rgb8")]
    encoding: &'a str,
    #[cortex(default = seven() + 1)]
    number: u8,
    #[cortex(default)]
    array: Option<ArrayView<'a>>,
}

#[test]
fn only_fields_missing_at_the_end_take_their_defaults() {
    let nothing: [&[u8]; 0] = [];
    let whole = Defaults { first: true, name: "", encoding: "rgb8", number: 8, array: None };
    assert_eq!(decode_bare::<Defaults<'_>>(&[0x91, 0xc3], &nothing), Ok(whole));
    let named = decode_bare::<Defaults<'_>>(&[0x93, 0xc2, 0xa1, b'n', 0xa1, b'e'], &nothing);
    let expected = Defaults { first: false, name: "n", encoding: "e", number: 8, array: None };
    assert_eq!(named, Ok(expected));
    let error = decode_bare::<Defaults<'_>>(&[0x90], &nothing).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::FieldCount { required: 1, total: 5, found: 0 });
    // Nil is not a missing field.
    let error = decode_bare::<Defaults<'_>>(&[0x92, 0xc2, 0xc0], &nothing).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::WrongType { expected: Type::Str, found: Type::Nil });
}

#[derive(Debug, PartialEq, Message)]
#[cortex(class = "robot.msgs.Raw")]
struct Raw {
    r#type: u8,
    r#match: bool,
}

#[test]
fn raw_identifiers_are_named_as_in_python() {
    let field = |name, ty| FieldInfo { name, ty, optional: false };
    assert_eq!(Raw::FIELDS, [field("type", Type::Int), field("match", Type::Bool)]);
    let raw = Raw { r#type: 3, r#match: true };
    assert_eq!(decode::<Raw>(&frames(&raw, Raw::FINGERPRINT)).as_ref(), Ok(&raw));
}

#[derive(Debug, PartialEq, Message)]
#[cortex(class = "robot.msgs.Joints")]
struct Joints<const N: usize> {
    angles: [f64; N],
}

#[derive(Debug, PartialEq, Message)]
#[cortex(class = "robot.msgs.Named")]
struct Named<'a, const N: usize> {
    names: heapless::Vec<&'a str, N>,
}

#[test]
fn structs_may_have_a_const_parameter() {
    let joints = Joints { angles: [0.5, -0.5] };
    let sent = frames(&joints, Joints::<2>::FINGERPRINT);
    assert_eq!(decode::<Joints<2>>(&sent).as_ref(), Ok(&joints));
    let error = decode::<Joints<3>>(&sent).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::ItemCount { expected: 3, found: 2 });
    let named = Named::<'_, 2> { names: ["a", "b"].into_iter().collect() };
    let sent = frames(&named, Named::<'_, 2>::FINGERPRINT);
    assert_eq!(decode::<Named<'_, 2>>(&sent).as_ref(), Ok(&named));
    let error = decode::<Named<'_, 1>>(&sent).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::Capacity { capacity: 1, found: 2 });
}

#[derive(Debug, PartialEq, Message)]
#[cortex(class = "robot.msgs.Empty")]
struct Empty {}

#[derive(Debug, PartialEq, Message)]
#[cortex(class = "__main__.Unit")]
struct Unit;

#[test]
fn messages_without_fields_round_trip() {
    let sent = frames(&Empty {}, Empty::FINGERPRINT);
    assert_eq!(sent[1][..], [0x90]);
    assert_eq!(decode::<Empty>(&sent), Ok(Empty {}));
    assert_eq!(decode::<Unit>(&frames(&Unit, Unit::FINGERPRINT)), Ok(Unit));
    assert!(Unit::FIELDS.is_empty());
}
