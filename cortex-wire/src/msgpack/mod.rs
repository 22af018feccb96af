//! MessagePack over slices: what Python's `msgpack` writes with `use_bin_type=True`.
//!
//! Reading takes every valid form of an item; writing always takes the smallest one.
//!
//! Source: the [MessagePack specification](https://github.com/msgpack/msgpack/blob/master/spec.md).

pub(crate) mod int;
pub(crate) mod key;
pub(crate) mod once;
pub(crate) mod read;
#[cfg(test)]
pub(crate) mod steps;
pub(crate) mod token;
pub(crate) mod write;

pub use int::{Int, IntRangeError};
pub use read::Reader;
pub use token::Token;
pub use write::Writer;
