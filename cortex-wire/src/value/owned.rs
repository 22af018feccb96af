//! Values that own their content.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use crate::array::owned::{OwnedArray, OwnedTensor};
use crate::coding::decode::{Decode, Decoder};
use crate::coding::encode::{Encode, Encoder, Field};
use crate::coding::frames::CopyLimit;
use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
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
    ///
    /// Arrays are copied as often as descriptors name them, without a limit:
    /// [`copy_limited`](Self::copy_limited) is for values of a peer.
    fn from(value: Value<'_>) -> Self {
        // Nothing exceeds the limit.
        copied(value, &mut CopyLimit::new(usize::MAX)).unwrap_or(Self::Nil)
    }
}

impl OwnedValue {
    /// Copies a decoded value, of whose arrays at most `max_array_bytes` are copied out of buffers:
    /// any number of descriptors can name the same buffer.
    ///
    /// # Errors
    ///
    /// `CopyLimit`, with the offset of the array in the metadata if it is in a list or map.
    pub fn copy_limited(value: Value<'_>, max_array_bytes: usize) -> Result<Self, DecodeError> {
        copied(value, &mut CopyLimit::new(max_array_bytes))
    }
}

/// Copies a value.
fn copied(value: Value<'_>, limit: &mut CopyLimit) -> Result<OwnedValue, DecodeError> {
    Ok(match value {
        Value::List(list) => match list.walk() {
            Some(walk) => Container::default().fill_from(walk, limit)?,
            None => OwnedValue::List(
                list.iter().map(|item| copied(item, limit)).collect::<Result<_, _>>()?,
            ),
        },
        Value::Map(map) => match map.walk() {
            Some(walk) => {
                Container { is_map: true, ..Container::default() }.fill_from(walk, limit)?
            }
            None => OwnedValue::Map(
                map.iter()
                    .map(|(key, value)| Ok((key.into(), copied(value, limit)?)))
                    .collect::<Result<_, _>>()?,
            ),
        },
        value => {
            let kind = |limit| DecodeErrorKind::CopyLimit { limit };
            limit.take_any(array_len(&value)).map_err(|limit| DecodeError::new(kind(limit), 0))?;
            flat(value)
        }
    })
}

/// Copies a value that contains no others.
fn flat(value: Value<'_>) -> OwnedValue {
    match value {
        Value::Nil | Value::List(_) | Value::Map(_) => OwnedValue::Nil,
        Value::Bool(value) => OwnedValue::Bool(value),
        Value::Int(value) => OwnedValue::Int(value),
        Value::Float(value) => OwnedValue::Float(value),
        Value::Str(value) => OwnedValue::Str(value.into()),
        Value::Bytes(value) => OwnedValue::Bytes(value.into()),
        Value::Array(array) => OwnedValue::Array(array.into()),
        Value::Tensor(tensor) => OwnedValue::Tensor(tensor.into()),
    }
}

/// Bytes of the array that is copied with a value.
const fn array_len(value: &Value<'_>) -> usize {
    match value {
        Value::Array(array) => array.data().len(),
        Value::Tensor(tensor) => tensor.array.data().len(),
        _ => 0,
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
    fn fill_from(
        self,
        mut walk: Walk<'_>,
        limit: &mut CopyLimit,
    ) -> Result<OwnedValue, DecodeError> {
        let mut around = Vec::new();
        let mut inner = self;
        loop {
            let offset = walk.offset();
            // Decoded content has no errors.
            let Some(Ok(event)) = walk.step() else { break };
            let value = match event {
                Event::Value(value) => {
                    limit.take(array_len(&value), walk.source()).map_err(|limit| {
                        DecodeError::new(DecodeErrorKind::CopyLimit { limit }, offset)
                    })?;
                    flat(value)
                }
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
        Ok(inner.into_value())
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
        let start = input.reader().offset();
        let value = Value::decode(input)?;
        match value {
            Value::List(_) | Value::Map(_) => copied(value, &mut input.copies),
            value => {
                input.count_copy(array_len(&value), start)?;
                Ok(flat(value))
            }
        }
    }
}
