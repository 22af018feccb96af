//! The transport: libzmq sockets, frames and their owners.
//!
//! The only folder that touches libzmq, and the only one with `unsafe`. It calls `zmq-sys` directly:
//! the `zmq` crate panics on an error number it does not list, hides the context pointer that
//! `zmq_ctx_set` needs, and cannot make a message from an owner.
//!
//! A socket is used through `&mut self` by one thread at a time and may be moved to another. A
//! received [`multipart::Multipart`] owns its frames; a sent frame owns, or keeps alive, its bytes.
#![allow(
    unsafe_code,
    reason = "libzmq is a C library; this folder is where it is made safe, block by block"
)]

mod accepted;
pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod frame;
pub(crate) mod interrupt;
pub(crate) mod library;
pub(crate) mod loan;
mod malloc;
pub(crate) mod multipart;
pub(crate) mod owner;
mod raw;
#[cfg(feature = "tokio")]
pub(crate) mod readable;
pub(crate) mod reqrep;
pub(crate) mod sub;
pub(crate) mod xpub;
