//! The greeting of a connection.

use crate::stream::zmtp::error::ZmtpErrorKind;

/// The peer's greeting, received in pieces.
///
/// ```text
/// 0xff | 8 x 0 | 0x7f | major 3 | minor 1 | "NULL", 20 bytes | as-server 0 | 31 x 0
/// ```
///
/// Source: ZMTP 3.1, "Greeting".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Greeting {
    len: usize,
    minor: u8,
}

impl Greeting {
    /// Bytes of a greeting.
    pub const LEN: usize = 64;

    /// Our greeting: ZMTP 3.1 with the NULL mechanism.
    pub const BYTES: [u8; Self::LEN] =
        *b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
           \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    /// A greeting of which nothing is received.
    #[must_use]
    pub const fn new() -> Self {
        Self { len: 0, minor: 0 }
    }

    /// Consumes one byte; returns the peer's minor version with the last one.
    ///
    /// # Errors
    ///
    /// `Signature`, `Version` or `Mechanism`, at the first byte that is not supported.
    pub fn receive(&mut self, byte: u8) -> Result<Option<u8>, ZmtpErrorKind> {
        match self.len {
            0 if byte != 0xff => return Err(ZmtpErrorKind::Signature),
            9 if byte != 0x7f => return Err(ZmtpErrorKind::Signature),
            10 if byte < 3 => return Err(ZmtpErrorKind::Version { found: byte }),
            11 => self.minor = byte,
            12..32 if Self::BYTES.get(self.len) != Some(&byte) => {
                return Err(ZmtpErrorKind::Mechanism);
            }
            _ => {}
        }
        self.len = self.len.saturating_add(1);
        Ok((self.len == Self::LEN).then_some(self.minor))
    }
}
