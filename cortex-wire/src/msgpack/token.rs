//! One MessagePack item.

use crate::msgpack::int::Int;
use crate::types::Type;

/// One MessagePack item; of a list or map only its head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Token<'a> {
    /// nil.
    Nil,
    /// true or false.
    Bool(bool),
    /// Any form of an integer.
    Int(Int),
    /// float 32, widened, or float 64.
    Float(f64),
    /// A string, checked to be UTF-8.
    Str(&'a str),
    /// A byte string.
    Bytes(&'a [u8]),
    /// The head of a list: that many items follow.
    List(u32),
    /// The head of a map: that many pairs of key and value follow.
    Map(u32),
    /// An extension: its type and its payload.
    Extension(i8, &'a [u8]),
}

impl Token<'_> {
    /// The item's type.
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
            Self::Extension(..) => Type::Extension,
        }
    }
}
