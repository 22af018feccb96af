//! The transport on libzmq: ipc, tcp and inproc, and the request and reply sockets of discovery.
//!
//! The only folder that uses libzmq. It calls `zmq-sys` directly: the `zmq` crate panics on an error
//! number it does not list, hides the context pointer that `zmq_ctx_set` needs, and cannot make a
//! message from an owner.

mod accepted;
pub(crate) mod context;
mod errno;
pub(crate) mod frame;
pub(crate) mod library;
pub(crate) mod malloc;
pub(super) mod monitor;
pub(crate) mod owner;
pub(crate) mod reqrep;
pub(super) mod socket;
pub(super) mod sub;
#[cfg(test)]
mod tests;
pub(super) mod xpub;
