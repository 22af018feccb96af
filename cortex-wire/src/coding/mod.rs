//! From values to frames and back.

pub(crate) mod decode;
pub(crate) mod descriptor;
pub(crate) mod encode;
pub(crate) mod frames;
#[cfg(feature = "alloc")]
mod owned;
