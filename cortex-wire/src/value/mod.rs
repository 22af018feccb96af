//! Values of any type: built from slices, or decoded without building a tree.

mod check;
pub(crate) mod items;
pub(crate) mod list;
pub(crate) mod map;
pub(crate) mod map_of;
#[cfg(feature = "alloc")]
pub(crate) mod owned;
mod rewrite;
#[cfg(test)]
mod tests;
pub(crate) mod walk;

use core::fmt;

use crate::array::ArrayView;
use crate::array::tensor::TensorView;
use crate::coding::encode::{Encode, Encoder, Field};
use crate::error::EncodeError;
use crate::msgpack::int::Int;
use crate::types::Type;
use crate::value::items::WireItems;

/// A value of any type in a message's metadata.
///
/// # Examples
///
/// ```
/// use cortex_wire::Value;
///
/// let gains = [("kp", Value::from(0.5)), ("ki", Value::from(3))];
/// let value = Value::from(&gains);
/// let ki = value.as_map().and_then(|gains| gains.get("ki"));
/// assert_eq!(ki.and_then(|ki| ki.as_i64()), Some(3));
/// ```
#[derive(Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// An integer from -2^63 to 2^64 - 1.
    Int(Int),
    /// A double.
    Float(f64),
    /// Text.
    Str(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list.
    List(List<'a>),
    /// A map.
    Map(Map<'a>),
    /// An array.
    Array(ArrayView<'a>),
    /// A tensor.
    Tensor(TensorView<'a>),
}

impl Value<'_> {
    /// The value's type.
    #[must_use]
    pub const fn ty(&self) -> Type {
        match self {
            Self::Nil => Type::Nil,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Float(_) => Type::Float,
            Self::Str(_) => Type::Str,
            Self::Bytes(_) => Type::Bytes,
            Self::List(_) => Type::List,
            Self::Map(_) => Type::Map,
            Self::Array(_) => Type::Array,
            Self::Tensor(_) => Type::Tensor,
        }
    }
}

impl<'a> Value<'a> {
    /// The boolean, if it is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer, if it is one and fits the type.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(value) => i64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The integer, if it is one and fits the type.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Int(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// The number, if it is one; an integer as the nearest double.
    #[must_use]
    pub const fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Int(value) => Some(value.to_f64()),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub const fn as_str(&self) -> Option<&'a str> {
        match self {
            Self::Str(value) => Some(value),
            _ => None,
        }
    }

    /// The bytes, if it is a byte string.
    #[must_use]
    pub const fn as_bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(value) => Some(value),
            _ => None,
        }
    }

    /// The list, if it is one.
    #[must_use]
    pub const fn as_list(&self) -> Option<List<'a>> {
        match self {
            Self::List(value) => Some(*value),
            _ => None,
        }
    }

    /// The map, if it is one.
    #[must_use]
    pub const fn as_map(&self) -> Option<Map<'a>> {
        match self {
            Self::Map(value) => Some(*value),
            _ => None,
        }
    }

    /// The array, if it is one.
    #[must_use]
    pub const fn as_array(&self) -> Option<ArrayView<'a>> {
        match self {
            Self::Array(value) => Some(*value),
            _ => None,
        }
    }

    /// The tensor, if it is one.
    #[must_use]
    pub const fn as_tensor(&self) -> Option<TensorView<'a>> {
        match self {
            Self::Tensor(value) => Some(*value),
            _ => None,
        }
    }
}

impl<'a, const N: usize> From<&'a [Value<'a>; N]> for Value<'a> {
    fn from(items: &'a [Value<'a>; N]) -> Self {
        Self::List(List::from(&items[..]))
    }
}

impl<'a, const N: usize> From<&'a [(&'a str, Value<'a>); N]> for Value<'a> {
    fn from(pairs: &'a [(&'a str, Value<'a>); N]) -> Self {
        Self::Map(Map::from(&pairs[..]))
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Str(value) => value.fmt(f),
            Self::Bytes(value) => write!(f, "b\"{}\"", value.escape_ascii()),
            Self::List(value) => value.fmt(f),
            Self::Map(value) => value.fmt(f),
            Self::Array(value) => value.fmt(f),
            Self::Tensor(value) => value.fmt(f),
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Value<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self {
            Self::Nil => defmt::write!(f, "nil"),
            Self::Bool(value) => defmt::write!(f, "{}", value),
            Self::Int(value) => defmt::write!(f, "{}", value),
            Self::Float(value) => defmt::write!(f, "{}", value),
            Self::Str(value) => defmt::write!(f, "{=str}", value),
            Self::Bytes(value) => defmt::write!(f, "{=[u8]}", value),
            Self::List(value) => defmt::write!(f, "list of {}", value.len()),
            Self::Map(value) => defmt::write!(f, "map of {}", value.len()),
            Self::Array(value) => defmt::write!(f, "{}", value),
            Self::Tensor(value) => defmt::write!(f, "{}", value),
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl<'a> From<$from> for Value<'a> {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from! {
    bool => Bool, f32 => Float, f64 => Float, Int => Int,
    u8 => Int, u16 => Int, u32 => Int, u64 => Int, usize => Int,
    i8 => Int, i16 => Int, i32 => Int, i64 => Int, isize => Int,
    &'a str => Str, &'a [u8] => Bytes, List<'a> => List, Map<'a> => Map,
    &'a [Value<'a>] => List, &'a [(&'a str, Value<'a>)] => Map,
    ArrayView<'a> => Array, TensorView<'a> => Tensor,
}

impl Field for Value<'_> {
    const TYPE: Type = Type::Any;
}

impl Encode for Value<'_> {
    fn encode<'b>(&'b self, out: &mut Encoder<'_, 'b>) -> Result<(), EncodeError> {
        match self {
            Self::Nil => out.writer().write_nil(),
            Self::Bool(value) => out.writer().write_bool(*value),
            Self::Int(value) => out.writer().write_int(*value),
            Self::Float(value) => out.writer().write_f64(*value),
            Self::Str(value) => out.writer().write_str(value)?,
            Self::Bytes(value) => out.writer().write_bytes(value)?,
            Self::List(value) => value.encode(out)?,
            Self::Map(value) => value.encode(out)?,
            Self::Array(value) => out.write_array(value)?,
            Self::Tensor(value) => out.write_tensor(value)?,
        }
        Ok(())
    }
}

/// A list of values, built from a slice or decoded.
///
/// # Examples
///
/// ```
/// use cortex_wire::{List, Value};
///
/// let items = [Value::from(1), Value::from("two")];
/// let list = List::from(&items[..]);
/// assert!(list.iter().eq(items));
/// ```
#[derive(Clone, Copy)]
pub struct List<'a>(pub(crate) ListRepr<'a>);

#[derive(Clone, Copy)]
pub(crate) enum ListRepr<'a> {
    Built(&'a [Value<'a>]),
    Wire(WireItems<'a>),
}

/// A map from keys to values in the order of the wire, built from a slice or decoded.
///
/// Two maps are equal when they hold the same pairs in the same order.
#[derive(Clone, Copy)]
pub struct Map<'a>(pub(crate) MapRepr<'a>);

#[derive(Clone, Copy)]
pub(crate) enum MapRepr<'a> {
    Built(&'a [(&'a str, Value<'a>)]),
    Wire(WireItems<'a>),
}
