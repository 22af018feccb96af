//! Values by rmpv, and the wire reference's rules about descriptors on its trees.

use cortex_wire::{DecodeError, DecodeErrorKind, Key, TensorView, Value};
use rmpv::Value as Item;

use crate::oracle::{dtype, item};

/// Lists and maps inside of each other.
const MAX_DEPTH: usize = 128;
const MAX_DIMS: usize = 8;
const KIND: &str = "__cortex_oob__";

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// The bits of a double.
    Float(u64),
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Self>),
    /// A map; its keys are text or bytes.
    Map(Vec<(Self, Self)>),
    /// An array.
    Array(Array),
    /// A tensor with its device and `requires_grad`.
    Tensor(Array, String, bool),
}

/// An array.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// numpy's `dtype.str`.
    pub dtype: String,
    /// The dimensions.
    pub shape: Vec<u64>,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// The value in metadata beside buffers; `None` if it is invalid.
pub fn metadata(metadata: &[u8], buffers: &[&[u8]]) -> Option<Model> {
    model(&item(metadata)?, buffers, 0)
}

/// The value of an item beside buffers.
pub fn model(item: &Item, buffers: &[&[u8]], depth: usize) -> Option<Model> {
    let inside = |item: &Item| model(item, buffers, depth + 1);
    Some(match item {
        Item::Map(pairs) if is_descriptor(pairs) => return descriptor(pairs, buffers),
        Item::Array(_) | Item::Map(_) if !is_small(depth) => return None,
        Item::Array(items) => Model::List(items.iter().map(inside).collect::<Option<_>>()?),
        Item::Map(pairs) => {
            let pair = |(key, value): &(Item, Item)| match key {
                Item::String(text) if text.as_str() == Some(KIND) => None,
                Item::String(_) | Item::Binary(_) => Some((inside(key)?, inside(value)?)),
                _ => None,
            };
            Model::Map(pairs.iter().map(pair).collect::<Option<_>>()?)
        }
        item => scalar(item)?,
    })
}

/// Whether one more list or map may be opened inside of `depth` others.
pub fn is_small(depth: usize) -> bool {
    depth < MAX_DEPTH
}

/// The value of an item that contains no others; `None` for an extension.
pub fn scalar(item: &Item) -> Option<Model> {
    Some(match item {
        Item::Nil => Model::Nil,
        Item::Boolean(value) => Model::Bool(*value),
        Item::Integer(value) => Model::Int(integer(value)),
        Item::F32(value) => Model::Float(f64::from(*value).to_bits()),
        Item::F64(value) => Model::Float(value.to_bits()),
        Item::String(value) => Model::Str(value.as_str()?.to_owned()),
        Item::Binary(value) => Model::Bytes(value.clone()),
        _ => return None,
    })
}

fn integer(value: &rmpv::Integer) -> i128 {
    match value.as_u64() {
        Some(value) => value.into(),
        None => value.as_i64().expect("it is negative").into(),
    }
}

/// A map with the reserved key, before which no value contains lists or maps that contain others.
fn is_descriptor(pairs: &[(Item, Item)]) -> bool {
    let is_container = |item: &Item| matches!(item, Item::Array(_) | Item::Map(_));
    for (key, value) in pairs {
        match key {
            Item::String(text) if text.as_str() == Some(KIND) => return true,
            Item::String(_) | Item::Binary(_) => {}
            _ => return false,
        }
        let is_deep = match value {
            Item::Array(items) => items.iter().any(is_container),
            Item::Map(pairs) => pairs.iter().any(|(k, v)| is_container(k) || is_container(v)),
            _ => false,
        };
        if is_deep {
            return false;
        }
    }
    false
}

fn descriptor(pairs: &[(Item, Item)], buffers: &[&[u8]]) -> Option<Model> {
    const KEYS: [&str; 6] = [KIND, "buffer", "dtype", "shape", "device", "requires_grad"];
    let mut found: [Option<&Item>; 6] = [None; 6];
    for (key, value) in pairs {
        let key = match key {
            Item::String(text) => text.as_str()?,
            Item::Binary(_) => continue,
            _ => return None,
        };
        if let Some(index) = KEYS.iter().position(|known| *known == key) {
            if found[index].replace(value).is_some() {
                return None;
            }
        }
    }
    let [kind, buffer, dtype, shape, device, requires_grad] = found;
    // Known keys have their types, needed or not.
    let (device, requires_grad) = (
        match device {
            Some(device) => Some(device.as_str()?),
            None => None,
        },
        match requires_grad {
            Some(Item::Boolean(value)) => Some(*value),
            Some(_) => return None,
            None => None,
        },
    );
    let kind = kind?.as_str()?;
    let data = *buffers.get(usize::try_from(buffer?.as_u64()?).ok()?)?;
    let array = array(dtype?.as_str()?, shape?, data)?;
    match kind {
        "numpy" => Some(Model::Array(array)),
        "torch" => Some(Model::Tensor(array, device?.to_owned(), requires_grad?)),
        _ => None,
    }
}

/// An array whose data has the length that its shape and dtype say.
pub fn array(dtype: &str, shape: &Item, data: &[u8]) -> Option<Array> {
    let (dtype, item_len) = dtype::parse(dtype)?;
    let shape: Vec<u64> = shape.as_array()?.iter().map(Item::as_u64).collect::<Option<_>>()?;
    if shape.len() > MAX_DIMS {
        return None;
    }
    // A product of more than 128 bits is not the length of anything.
    let len = match shape.contains(&0) {
        true => 0,
        false => {
            shape.iter().try_fold(u128::from(item_len), |len, &dim| len.checked_mul(dim.into()))?
        }
    };
    (len == data.len() as u128).then(|| Array { dtype, shape, data: data.to_vec() })
}

impl From<&Value<'_>> for Model {
    fn from(value: &Value<'_>) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int((*value).into()),
            Value::Float(value) => Self::Float(value.to_bits()),
            Value::Str(value) => Self::Str((*value).to_owned()),
            Value::Bytes(value) => Self::Bytes(value.to_vec()),
            Value::List(items) => Self::List(items.iter().map(|item| Self::from(&item)).collect()),
            Value::Map(pairs) => Self::Map(
                pairs.iter().map(|(key, value)| (Self::from(&key), Self::from(&value))).collect(),
            ),
            Value::Array(array) => Self::Array(Array::from(array)),
            Value::Tensor(TensorView { array, device, requires_grad }) => {
                Self::Tensor(Array::from(array), (*device).to_owned(), *requires_grad)
            }
        }
    }
}

impl From<&Key<'_>> for Model {
    fn from(key: &Key<'_>) -> Self {
        match key {
            Key::Str(key) => Self::Str((*key).to_owned()),
            Key::Bytes(key) => Self::Bytes(key.to_vec()),
        }
    }
}

impl From<&cortex_wire::ArrayView<'_>> for Array {
    fn from(view: &cortex_wire::ArrayView<'_>) -> Self {
        Self {
            dtype: view.dtype().as_text().to_string(),
            shape: view.shape().iter().map(|&dim| dim as u64).collect(),
            data: view.data().to_vec(),
        }
    }
}

/// Checks that we read what they read, and reject what they reject.
#[track_caller]
pub fn assert_same(ours: &Result<Value<'_>, DecodeError>, theirs: &Option<Model>) {
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => assert_eq!(Model::from(ours), *theirs, "another value"),
        (Ok(ours), None) => panic!("we accept {ours:?}"),
        // rmpv reads the marker that is never used as nil.
        (Err(error), Some(_)) => {
            assert_eq!(error.kind, DecodeErrorKind::ReservedMarker, "we reject: {error}");
        }
        (Err(_), None) => {}
    }
}
