//! Values that own their content.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use crate::array::owned::{OwnedArray, OwnedTensor};
use crate::coding::decode::{Decode, Decoder};
use crate::coding::encode::{Encode, Encoder, Field};
use crate::error::{DecodeError, EncodeError};
use crate::msgpack::int::Int;
use crate::msgpack::key::Key;
use crate::types::Type;
use crate::value::Value;
use crate::value::walk::{Event, Walk};

/// An owned value of any type, as a tree.
///
/// With the feature `serde` it is serialized as an enum of lowercase variants, without loss: in JSON
/// `{"list": [{"int": 1}, {"float": 0.5}]}`, with bytes as numbers and maps as lists of pairs.
///
/// # Examples
///
/// ```
/// use cortex_wire::{OwnedKey, OwnedValue, Value};
///
/// let kept = OwnedValue::from(Value::from("text"));
/// let map = OwnedValue::Map(vec![(OwnedKey::Str("note".into()), kept)]);
/// assert_eq!(map.get("note"), Some(&OwnedValue::Str("text".into())));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum OwnedValue {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// An integer from -2^63 to 2^64 - 1.
    Int(Int),
    /// A double.
    Float(f64),
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(#[cfg_attr(feature = "serde", serde(with = "crate::serialization::bytes"))] Vec<u8>),
    /// A list.
    List(Vec<Self>),
    /// A map, in the order of the wire.
    Map(Vec<(OwnedKey, Self)>),
    /// An array.
    Array(OwnedArray),
    /// A tensor.
    Tensor(OwnedTensor),
}

/// The key of a map entry, owned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum OwnedKey {
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(#[cfg_attr(feature = "serde", serde(with = "crate::serialization::bytes"))] Vec<u8>),
}

impl OwnedValue {
    /// The value of the last pair with this key, if this is a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        let same = |(k, _): &&(OwnedKey, Self)| matches!(k, OwnedKey::Str(k) if k == key);
        pairs.iter().rfind(same).map(|(_, value)| value)
    }
}

impl From<Key<'_>> for OwnedKey {
    fn from(key: Key<'_>) -> Self {
        match key {
            Key::Str(key) => Self::Str(key.into()),
            Key::Bytes(key) => Self::Bytes(key.into()),
        }
    }
}

impl From<Value<'_>> for OwnedValue {
    /// Copies a value. Decoded lists and maps are copied in one pass without recursion, those built
    /// from slices recursively.
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value),
            Value::Float(value) => Self::Float(value),
            Value::Str(value) => Self::Str(value.into()),
            Value::Bytes(value) => Self::Bytes(value.into()),
            Value::List(list) => match list.walk() {
                Some(walk) => Container::default().fill_from(walk),
                None => Self::List(list.iter().map(Self::from).collect()),
            },
            Value::Map(map) => match map.walk() {
                Some(walk) => Container { is_map: true, ..Container::default() }.fill_from(walk),
                None => Self::Map(map.iter().map(|(k, value)| (k.into(), value.into())).collect()),
            },
            Value::Array(array) => Self::Array(array.into()),
            Value::Tensor(tensor) => Self::Tensor(tensor.into()),
        }
    }
}

/// A list or map while it is copied.
#[derive(Default)]
struct Container {
    is_map: bool,
    keys: Vec<OwnedKey>,
    items: Vec<OwnedValue>,
}

impl Container {
    /// Copies the content at `walk`; returns the list or map.
    fn fill_from(self, mut walk: Walk<'_>) -> OwnedValue {
        let mut around = Vec::new();
        let mut inner = self;
        // Decoded content has no errors.
        while let Some(Ok(event)) = walk.step() {
            let value = match event {
                Event::Value(value) => value.into(),
                Event::Key(key) => {
                    inner.keys.push(key.into());
                    continue;
                }
                Event::List { .. } => {
                    around.push(mem::take(&mut inner));
                    continue;
                }
                Event::Map { .. } => {
                    around.push(mem::replace(&mut inner, Self { is_map: true, ..Self::default() }));
                    continue;
                }
                Event::End => match around.pop() {
                    Some(outer) => mem::replace(&mut inner, outer).into_value(),
                    None => break,
                },
            };
            inner.items.push(value);
        }
        inner.into_value()
    }

    fn into_value(self) -> OwnedValue {
        if self.is_map {
            OwnedValue::Map(self.keys.into_iter().zip(self.items).collect())
        } else {
            OwnedValue::List(self.items)
        }
    }
}

impl Field for OwnedValue {
    const TYPE: Type = Type::Any;
}

impl Encode for OwnedValue {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        match self {
            Self::Nil => out.writer().write_nil(),
            Self::Bool(value) => out.writer().write_bool(*value),
            Self::Int(value) => out.writer().write_int(*value),
            Self::Float(value) => out.writer().write_f64(*value),
            Self::Str(value) => out.writer().write_str(value)?,
            Self::Bytes(value) => out.writer().write_bytes(value)?,
            Self::List(items) => Self::encode_slice(items, out)?,
            Self::Map(pairs) => out.nested(|out| {
                out.writer().write_map(pairs.len())?;
                pairs.iter().try_for_each(|(key, value)| {
                    match key {
                        OwnedKey::Str(key) => {
                            out.check_key(key)?;
                            out.writer().write_str(key)?;
                        }
                        OwnedKey::Bytes(key) => out.writer().write_bytes(key)?,
                    }
                    value.encode(out)
                })
            })?,
            Self::Array(array) => array.encode(out)?,
            Self::Tensor(tensor) => tensor.encode(out)?,
        }
        Ok(())
    }
}

impl<'a> Decode<'a> for OwnedValue {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Value::decode(input).map(Self::from)
    }
}
