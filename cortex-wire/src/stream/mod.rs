//! Messages over byte streams: the serial link and ZMTP.

pub(crate) mod error;
mod io;
pub mod link;
pub(crate) mod multipart;
pub mod zmtp;
