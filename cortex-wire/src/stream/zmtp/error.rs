//! What was wrong with a peer's bytes.

use core::fmt;

use crate::stream::error::ProtocolError;

/// Bytes that are not ZMTP, or not what we speak of it, and the place where that became clear:
/// bytes received before, since the connection was made.
///
/// The connection is of no more use.
pub type ZmtpError = ProtocolError<ZmtpErrorKind>;

/// What is wrong with a peer's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ZmtpErrorKind {
    /// Not the start of a greeting: the peer speaks something else.
    Signature,
    /// A version before 3.
    Version {
        /// The peer's.
        found: u8,
    },
    /// Another mechanism than NULL: the peer wants security.
    Mechanism,
    /// Flags of a frame that mean nothing.
    Flags {
        /// The byte.
        found: u8,
    },
    /// A command that is malformed.
    Command,
    /// The handshake was not READY, or READY came again.
    Handshake,
    /// The peer's socket does not go with ours.
    SocketType,
    /// The peer ended the handshake with ERROR.
    Refused,
    /// A handshake longer than the buffer.
    HandshakeLength {
        /// Its bytes.
        len: u64,
        /// The buffer's.
        capacity: usize,
    },
    /// A reply without the empty frame before it.
    Delimiter,
    /// The buffer cannot hold what every peer sends.
    BufferTooSmall {
        /// Bytes that suffice.
        needed: usize,
        /// The buffer's.
        capacity: usize,
    },
}

impl fmt::Display for ZmtpErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Signature => f.write_str("peer does not speak ZMTP"),
            Self::Version { found } => write!(f, "peer speaks ZMTP {found}, not 3"),
            Self::Mechanism => f.write_str("peer wants another mechanism than NULL"),
            Self::Flags { found } => write!(f, "unknown frame flags {found:#04x}"),
            Self::Command => f.write_str("malformed command"),
            Self::Handshake => f.write_str("handshake is not one READY"),
            Self::SocketType => f.write_str("peer's socket type does not go with ours"),
            Self::Refused => f.write_str("peer refused the handshake"),
            Self::HandshakeLength { len, capacity } => {
                write!(f, "handshake has {len} bytes, the buffer {capacity}")
            }
            Self::Delimiter => f.write_str("reply lacks the empty frame before it"),
            Self::BufferTooSmall { needed, capacity } => {
                write!(f, "buffer has {capacity} bytes, {needed} are needed")
            }
        }
    }
}
