//! MessagePack over slices: what Python's `msgpack` writes with `use_bin_type=True`.
//!
//! Reading takes every valid form of an item; writing always takes the smallest one.
//!
//! Source: the [MessagePack specification](https://github.com/msgpack/msgpack/blob/master/spec.md).

mod int;
mod read;
mod write;

pub use int::{Int, IntRangeError};
#[cfg(test)]
pub(crate) use read::steps;
pub use read::{Reader, Token};
pub use write::Writer;
