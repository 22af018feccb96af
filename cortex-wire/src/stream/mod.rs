//! Messages over a stream of bytes.

pub(crate) mod error;
mod io;
pub mod link;
pub(crate) mod multipart;
pub mod zmtp;
