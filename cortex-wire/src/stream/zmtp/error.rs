//! Errors in a peer's bytes.

use core::fmt;

use crate::stream::error::ProtocolError;

/// A violation of ZMTP, or an unsupported part of it, and its position: bytes received since the
/// connection was created.
///
/// The connection cannot be used any more.
pub type ZmtpError = ProtocolError<ZmtpErrorKind>;

/// The reason of a [`ZmtpError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ZmtpErrorKind {
    /// Not the start of a greeting: the peer uses another protocol.
    Signature,
    /// A version before 3.
    Version {
        /// The peer's version.
        found: u8,
    },
    /// A security mechanism other than NULL.
    Mechanism,
    /// Undefined or contradictory flags of a frame.
    Flags {
        /// The flags.
        found: u8,
    },
    /// A malformed command.
    Command,
    /// The handshake is not READY, or READY is repeated.
    Handshake,
    /// The peer's socket type is not compatible with ours.
    SocketType,
    /// The peer sent ERROR.
    Refused,
    /// A handshake longer than the buffer.
    HandshakeLength {
        /// Its length in bytes.
        len: u64,
        /// Bytes of the buffer.
        capacity: usize,
    },
    /// A reply without the empty delimiter frame before it.
    Delimiter,
    /// The buffer is too small for the handshake or a subscription.
    BufferTooSmall {
        /// Bytes that suffice.
        needed: usize,
        /// Bytes of the buffer.
        capacity: usize,
    },
}

impl fmt::Display for ZmtpErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Signature => f.write_str("peer does not use ZMTP"),
            Self::Version { found } => write!(f, "peer uses ZMTP {found}, not 3"),
            Self::Mechanism => f.write_str("peer requires a security mechanism other than NULL"),
            Self::Flags { found } => write!(f, "invalid frame flags {found:#04x}"),
            Self::Command => f.write_str("malformed command"),
            Self::Handshake => f.write_str("handshake is not a single READY"),
            Self::SocketType => f.write_str("peer's socket type is not compatible with ours"),
            Self::Refused => f.write_str("peer rejected the connection"),
            Self::HandshakeLength { len, capacity } => {
                write!(f, "handshake has {len} bytes, buffer has {capacity}")
            }
            Self::Delimiter => f.write_str("reply lacks the empty delimiter frame"),
            Self::BufferTooSmall { needed, capacity } => {
                write!(f, "buffer has {capacity} bytes, {needed} are needed")
            }
        }
    }
}
