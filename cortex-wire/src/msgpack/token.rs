//! One MessagePack item.

use crate::msgpack::int::Int;
use crate::types::Type;

/// One MessagePack item; for a list or map only its head.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Token<'a> {
    /// nil.
    Nil,
    /// true or false.
    Bool(bool),
    /// An integer of any form.
    Int(Int),
    /// float 32, widened, or float 64.
    Float(f64),
    /// A string, checked to be UTF-8.
    Str(&'a str),
    /// A byte string.
    Bytes(&'a [u8]),
    /// The head of a list: the number of items that follow.
    List(u32),
    /// The head of a map: the number of pairs that follow.
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
