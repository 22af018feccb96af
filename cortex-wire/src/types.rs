//! The types of fields and values.

use core::fmt;

/// The type of a field or value on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Type {
    /// Nothing.
    Nil,
    /// True or false.
    Bool,
    /// -2^63 to 2^64 - 1.
    Int,
    /// IEEE 754 double.
    Float,
    /// UTF-8 text.
    Str,
    /// Bytes.
    Bytes,
    /// A list of values.
    List,
    /// A map from strings to values.
    Map,
    /// An array: dtype, shape and data.
    Array,
    /// An array with a device and a gradient flag.
    Tensor,
    /// A MessagePack extension; never the type of a field.
    Extension,
    /// Any type.
    Any,
}

impl Type {
    /// The name in the string that the layout hash covers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Str => "str",
            Self::Bytes => "bytes",
            Self::List => "list",
            Self::Map => "map",
            Self::Array => "array",
            Self::Tensor => "tensor",
            Self::Extension => "extension",
            Self::Any => "any",
        }
    }
}

impl Type {
    /// The type's usual spelling in Python, as a schema fingerprint contains it: `str`, `ndarray`,
    /// `numpy.ndarray | None` if `optional`.
    ///
    /// A class may spell its types differently, such as `list[float]`.
    #[must_use]
    pub const fn python_name(self, optional: bool) -> &'static str {
        match (self, optional) {
            (Self::Nil, _) => "None",
            (Self::Bool, false) => "bool",
            (Self::Bool, true) => "bool | None",
            (Self::Int, false) => "int",
            (Self::Int, true) => "int | None",
            (Self::Float, false) => "float",
            (Self::Float, true) => "float | None",
            (Self::Str, false) => "str",
            (Self::Str, true) => "str | None",
            (Self::Bytes, false) => "bytes",
            (Self::Bytes, true) => "bytes | None",
            (Self::List, false) => "list",
            (Self::List, true) => "list | None",
            (Self::Map, false) => "dict",
            (Self::Map, true) => "dict | None",
            (Self::Array, false) => "ndarray",
            (Self::Array, true) => "numpy.ndarray | None",
            (Self::Tensor | Self::Extension | Self::Any, false) => "Any",
            (Self::Tensor | Self::Extension | Self::Any, true) => "typing.Optional[typing.Any]",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One field of a message: its name and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FieldInfo {
    /// The field's name in Python.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// Whether nil is allowed instead.
    pub optional: bool,
}
