//! MessagePack over slices, as Python's `msgpack` writes it with `use_bin_type=True`.
//!
//! The reader accepts every valid form of an item; the writer always uses the smallest one.
//!
//! Source: the [MessagePack specification](https://github.com/msgpack/msgpack/blob/master/spec.md).

pub(crate) mod int;
pub(crate) mod key;
pub(crate) mod once;
pub(crate) mod read;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod steps;
#[cfg(not(fuzzing))]
pub(crate) mod steps;
pub(crate) mod token;
pub(crate) mod write;

pub use int::{Int, IntRangeError};
pub use read::Reader;
pub use token::Token;
pub use write::Writer;
