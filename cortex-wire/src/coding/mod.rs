//! From values to frames and back.

pub(crate) mod decode;
pub(crate) mod descriptor;
pub(crate) mod encode;
pub(crate) mod frames;
pub(crate) mod max_len;
#[cfg(feature = "alloc")]
mod owned;
