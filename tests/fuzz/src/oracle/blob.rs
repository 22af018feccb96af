//! Blobs, tagged values and raw arrays by their description; MessagePack in them by rmpv.

use cortex_wire::{ArrayView, DecodeError, DecodeErrorKind, Header, List, Value};
use rmpv::Value as Item;

use crate::oracle::value::{Array, Model, array, is_small, scalar};
use crate::oracle::{dtype, item};

/// Takes bytes off the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let head = self.0.get(..len)?;
        self.0 = &self.0[len..];
        Some(head)
    }

    fn number(&mut self, len: usize) -> Option<usize> {
        Some(self.take(len)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    fn text(&mut self, len: usize) -> Option<&'a str> {
        std::str::from_utf8(self.take(len)?).ok()
    }
}

/// An array in the raw layout: dimensions, dtype, data.
fn raw(bytes: &mut Bytes<'_>) -> Option<Array> {
    let count = bytes.number(1)?;
    let shape: Vec<u64> =
        (0..count).map(|_| Some(bytes.number(4)? as u64)).collect::<Option<_>>()?;
    let len = bytes.number(2)?;
    let (dtype, item_len) = dtype::parse(bytes.text(len)?)?;
    let len = match shape.contains(&0) {
        true => 0,
        false => shape.iter().try_fold(item_len, |len, dim| len.checked_mul(*dim))?,
    };
    let data = bytes.take(usize::try_from(len).ok()?)?.to_vec();
    (count <= 8).then_some(Array { dtype, shape, data })
}

/// A value of a blob: arrays are extensions.
fn inline(item: &Item, depth: usize) -> Option<Model> {
    let inside = |item: &Item| inline(item, depth + 1);
    let field = |bytes: &[u8]| -> Option<Model> {
        let item = self::item(bytes)?;
        let (tensor, [dtype, shape, Item::Binary(data)]) = (match &item.as_array()?[..] {
            [dtype, shape, data] => (None, [dtype, shape, data]),
            [device, requires_grad, dtype, shape, data] => {
                (Some((device.as_str()?, requires_grad.as_bool()?)), [dtype, shape, data])
            }
            _ => return None,
        }) else {
            return None;
        };
        let array = array(dtype.as_str()?, shape, data)?;
        Some(match tensor {
            None => Model::Array(array),
            Some((device, grad)) => Model::Tensor(array, device.to_owned(), grad),
        })
    };
    Some(match item {
        Item::Ext(kind, bytes) => match (kind, field(bytes)?) {
            (1, model @ Model::Array(_)) | (2, model @ Model::Tensor(..)) => model,
            _ => return None,
        },
        Item::Array(_) | Item::Map(_) if !is_small(depth) => return None,
        Item::Array(items) => Model::List(items.iter().map(inside).collect::<Option<_>>()?),
        Item::Map(pairs) => Model::Map(
            pairs
                .iter()
                .map(|(key, value)| match key {
                    Item::String(_) | Item::Binary(_) => Some((inside(key)?, inside(value)?)),
                    _ => None,
                })
                .collect::<Option<_>>()?,
        ),
        item => scalar(item)?,
    })
}

/// A tagged value.
fn tagged(bytes: &mut Bytes<'_>) -> Option<Model> {
    let tag = bytes.number(1)?;
    Some(match tag {
        0 => Model::Nil,
        1 | 4 | 5 => {
            let len = bytes.number(4)?;
            let model = inline(&item(bytes.take(len)?)?, 0)?;
            let fits = match &model {
                Model::Map(_) => tag == 4,
                Model::List(_) => tag == 5,
                Model::Array(_) | Model::Tensor(..) => false,
                _ => tag == 1,
            };
            fits.then_some(model)?
        }
        2 => Model::Array(raw(bytes)?),
        3 => {
            let requires_grad = bytes.number(1)? != 0;
            let len = bytes.number(2)?;
            let device = bytes.text(len)?.to_owned();
            Model::Tensor(raw(bytes)?, device, requires_grad)
        }
        6 => {
            let len = bytes.number(4)?;
            Model::Bytes(bytes.take(len)?.to_vec())
        }
        _ => return None,
    })
}

#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(ours: Result<T, &DecodeError>, theirs: Option<T>) {
    match (ours, theirs) {
        (Ok(ours), theirs) => assert_eq!(Some(ours), theirs),
        (Err(error), Some(_)) => {
            assert_eq!(error.kind, DecodeErrorKind::ReservedMarker, "we reject: {error}");
        }
        (Err(_), None) => {}
    }
}

/// Compares a tagged value and its length.
#[track_caller]
pub fn check_value(data: &[u8], ours: &Result<(Value<'_>, usize), DecodeError>) {
    let mut bytes = Bytes(data);
    let theirs = tagged(&mut bytes).map(|value| (value, data.len() - bytes.0.len()));
    same(ours.as_ref().map(|(value, len)| (Model::from(value), *len)), theirs);
}

/// Compares an array and its length.
#[track_caller]
pub fn check_array(data: &[u8], ours: &Result<(ArrayView<'_>, usize), DecodeError>) {
    let mut bytes = Bytes(data);
    let theirs = raw(&mut bytes).map(|array| (array, data.len() - bytes.0.len()));
    same(ours.as_ref().map(|(array, len)| (Array::from(array), *len)), theirs);
}

/// Compares the header and the fields of a blob.
#[track_caller]
pub fn check(data: &[u8], ours: &Result<(Header, List<'_>), DecodeError>) {
    let theirs = || {
        let mut bytes = Bytes(data);
        let header = bytes.take(24)?.to_vec();
        if bytes.0.first() != Some(&5) {
            return None;
        }
        let fields = tagged(&mut bytes)?;
        bytes.0.is_empty().then_some((header, fields))
    };
    let ours = ours
        .as_ref()
        .map(|(header, fields)| (header.encode().to_vec(), Model::from(&Value::List(*fields))));
    same(ours, theirs());
}
