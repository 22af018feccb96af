//! The greeting and the flags of a frame.

/// Bytes of the greeting.
pub(crate) const GREETING_LEN: usize = 64;

/// Our greeting.
pub(crate) const GREETING: [u8; GREETING_LEN] =
    *b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
       \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

pub(crate) const FLAG_MORE: u8 = 1;
pub(crate) const FLAG_LONG: u8 = 2;
pub(crate) const FLAG_COMMAND: u8 = 4;
