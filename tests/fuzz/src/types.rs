//! Messages of users: derived types that borrow and that own, with what they accept written down.

use std::collections::BTreeMap;

use cortex_wire::{
    ArrayView, DecodeErrorKind, MapOf, Message, OwnedArray, OwnedTensor, OwnedValue, TypedArray,
    Value, decode_bare,
};

use crate::input::Input;
use crate::limits;
use crate::oracle::value::{Array, Model};
use crate::roundtrip::{check_message, encoded};

/// A message that borrows.
#[derive(Debug, PartialEq, Message)]
#[cortex(class = "fuzz.User")]
pub struct User<'a> {
    id: u16,
    name: &'a str,
    gains: [f32; 3],
    samples: cortex_wire::heapless::Vec<i32, 4>,
    scan: TypedArray<'a, f32>,
    image: Option<ArrayView<'a>>,
    limits: MapOf<'a, f64>,
    #[cortex(default)]
    extra: Option<Value<'a>>,
    #[cortex(default = 7)]
    level: u8,
}

/// A message that owns.
#[derive(Debug, PartialEq, Message)]
#[cortex(class = "fuzz.Owner")]
pub struct Owner {
    name: String,
    items: Vec<i64>,
    raw: Vec<u8>,
    arrays: Vec<OwnedArray>,
    tensor: Option<OwnedTensor>,
    values: BTreeMap<String, OwnedValue>,
}

/// Decodes both types, and compares with what they accept.
pub fn check(input: &Input<'_>, theirs: Option<&Model>) {
    let user = limits::borrowed(input.metadata.len(), 1, || {
        decode_bare::<User<'_>>(input.metadata, &input.buffers)
    });
    let expected = theirs.and_then(user_of);
    match (&user, expected) {
        (Ok(user), Some((id, name))) => {
            assert_eq!((user.id, user.name), (id, name));
            check_message::<User<'_>>(user, |a, b| a == b);
        }
        (Ok(user), None) => panic!("accepted: {user:?}"),
        (Err(error), Some(_)) => assert_eq!(error.kind, DecodeErrorKind::ReservedMarker, "{error}"),
        (Err(_), None) => {}
    }
    let buffers = input.buffers.iter().map(|buffer| buffer.len()).sum();
    let owner = limits::owned(input.metadata.len(), buffers, || {
        decode_bare::<Owner>(input.metadata, &input.buffers)
    });
    match (&owner, theirs.and_then(owner_of)) {
        (Ok(owner), Some(arrays)) => {
            let ours: Vec<_> =
                owner.arrays.iter().map(|array| Array::from(&array.view())).collect();
            assert_eq!(ours, arrays);
            let (metadata, buffers) = encoded(owner);
            let again = decode_bare::<Owner>(&metadata, &buffers).expect("what we encoded decodes");
            assert!(again == *owner || *owner != *owner, "the message has changed");
        }
        (Ok(owner), None) => panic!("accepted: {owner:?}"),
        (Err(error), Some(_)) => {
            let is_limit = matches!(
                error.kind,
                DecodeErrorKind::ReservedMarker | DecodeErrorKind::CopyLimit { .. }
            );
            assert!(is_limit, "{error}");
        }
        (Err(_), None) => {}
    }
}

fn is_number(model: &Model) -> bool {
    matches!(model, Model::Int(_) | Model::Float(_))
}

fn within(model: &Model, min: i128, max: i128) -> bool {
    matches!(model, Model::Int(value) if (min..=max).contains(value))
}

fn user_of(model: &Model) -> Option<(u16, &str)> {
    let Model::List(fields) = model else { return None };
    let [id, name, gains, samples, scan, image, limits, rest @ ..] = &fields[..] else {
        return None;
    };
    let (Model::Int(id), Model::Str(name)) = (id, name) else { return None };
    let is_valid = match (gains, samples, scan, image, limits) {
        (
            Model::List(gains),
            Model::List(samples),
            Model::Array(Array { dtype, .. }),
            Model::Nil | Model::Array(_),
            Model::Map(limits),
        ) => {
            gains.len() == 3
                && gains.iter().all(is_number)
                && samples.len() <= 4
                && samples.iter().all(|sample| within(sample, i32::MIN.into(), i32::MAX.into()))
                && ["<f4", ">f4"].contains(&&dtype[..])
                && limits
                    .iter()
                    .all(|(key, value)| matches!(key, Model::Str(_)) && is_number(value))
        }
        _ => false,
    };
    let is_rest_valid = match rest {
        [] | [_] => true,
        [_, level] => within(level, 0, 255),
        _ => false,
    };
    let id = u16::try_from(*id).ok()?;
    (is_valid && is_rest_valid).then_some((id, name))
}

fn owner_of(model: &Model) -> Option<Vec<Array>> {
    let Model::List(fields) = model else { return None };
    let [
        Model::Str(_),
        Model::List(items),
        Model::Bytes(_),
        Model::List(arrays),
        Model::Nil | Model::Tensor(..),
        Model::Map(values),
    ] = &fields[..]
    else {
        return None;
    };
    let is_valid = items.iter().all(|item| within(item, i64::MIN.into(), i64::MAX.into()))
        && values.iter().all(|(key, _)| matches!(key, Model::Str(_)));
    let array = |model: &Model| match model {
        Model::Array(array) => Some(array.clone()),
        _ => None,
    };
    arrays.iter().map(array).collect::<Option<Vec<_>>>().filter(|_| is_valid)
}
