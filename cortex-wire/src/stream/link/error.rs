//! Errors in received frames.

use core::fmt;

use crate::error::DecodeError;
use crate::stream::error::ProtocolError;
use crate::stream::link::layout::VERSION;

/// A dropped frame, and its position: bytes received up to its last one, since the receiver was
/// created.
pub type LinkError = ProtocolError<LinkErrorKind>;

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LinkErrorKind {
    /// It ends inside a COBS block: bytes are missing, or a byte became zero.
    Truncated,
    /// Shorter than kind, sequence and checksum.
    TooShort {
        /// Its length in bytes.
        len: usize,
    },
    /// Longer than the receiver's buffer.
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// Bytes of the buffer.
        capacity: usize,
    },
    /// Its checksum does not match its bytes.
    Checksum {
        /// The checksum of its bytes.
        expected: u32,
        /// The checksum in the frame.
        found: u32,
    },
    /// The same frame as the one before.
    Duplicate {
        /// Its sequence number.
        sequence: u32,
    },
    /// Neither a hello nor a message.
    Kind {
        /// The kind in the frame.
        found: u8,
    },
    /// A message whose frames do not fill its payload exactly.
    Frames,
    /// A hello of another version.
    Version {
        /// Its version.
        found: u64,
    },
    /// A hello that cannot be decoded; the offset counts from its start.
    Hello(DecodeError),
}

impl LinkErrorKind {
    /// Whether the frame was damaged in transit; otherwise the peer sent an invalid frame.
    #[must_use]
    pub const fn is_damage(self) -> bool {
        matches!(self, Self::Truncated | Self::TooShort { .. } | Self::Checksum { .. })
    }
}

impl fmt::Display for LinkErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated => f.write_str("frame is truncated"),
            Self::TooShort { len } => write!(f, "frame is too short: {len} bytes"),
            Self::TooLong { len, capacity } => {
                write!(f, "frame has {len} bytes, buffer has {capacity}")
            }
            Self::Checksum { expected, found } => {
                write!(f, "checksum is {found:#010x}, expected {expected:#010x}")
            }
            Self::Duplicate { sequence } => write!(f, "duplicate frame {sequence}"),
            Self::Kind { found } => write!(f, "unknown frame kind {found}"),
            Self::Frames => f.write_str("frames do not fill the message exactly"),
            Self::Version { found } => {
                write!(f, "peer uses link version {found}, not {VERSION}")
            }
            Self::Hello(error) => write!(f, "hello does not decode: {error}"),
        }
    }
}
