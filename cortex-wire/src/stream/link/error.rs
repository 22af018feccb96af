//! What was wrong with received bytes.

use core::fmt;

use crate::error::DecodeError;
use crate::stream::error::ProtocolError;
use crate::stream::link::layout::VERSION;

/// A frame that was dropped, and the place in the stream where that became clear: bytes received
/// up to and with its last one, since the receiver was made.
pub type LinkError = ProtocolError<LinkErrorKind>;

/// Why a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LinkErrorKind {
    /// It ends in the middle of a COBS block: bytes are missing, or a zero came in.
    Truncated,
    /// Shorter than what every frame has.
    TooShort {
        /// Its bytes.
        len: usize,
    },
    /// Longer than the receiver's buffer.
    TooLong {
        /// Its bytes.
        len: usize,
        /// The receiver's.
        capacity: usize,
    },
    /// Its checksum is another one.
    Checksum {
        /// What its bytes give.
        expected: u32,
        /// What it says.
        found: u32,
    },
    /// The same frame came just before.
    Duplicate {
        /// Its number.
        sequence: u32,
    },
    /// Neither hello nor message.
    Kind {
        /// What it says.
        found: u8,
    },
    /// A message whose frames do not fill it.
    Frames,
    /// A hello of another version.
    Version {
        /// Its version.
        found: u64,
    },
    /// A hello that cannot be read; the offset in it.
    Hello(DecodeError),
}

impl LinkErrorKind {
    /// Whether the bytes did not arrive as they were sent; else the peer is to blame.
    #[must_use]
    pub const fn is_damage(self) -> bool {
        matches!(self, Self::Truncated | Self::TooShort { .. } | Self::Checksum { .. })
    }
}

impl fmt::Display for LinkErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated => f.write_str("frame is cut"),
            Self::TooShort { len } => write!(f, "frame has only {len} bytes"),
            Self::TooLong { len, capacity } => {
                write!(f, "frame has {len} bytes, the buffer {capacity}")
            }
            Self::Checksum { expected, found } => {
                write!(f, "checksum is {found:#010x}, the bytes give {expected:#010x}")
            }
            Self::Duplicate { sequence } => write!(f, "frame {sequence} came twice"),
            Self::Kind { found } => write!(f, "unknown kind of frame {found}"),
            Self::Frames => f.write_str("frames do not fill the message"),
            Self::Version { found } => {
                write!(f, "peer speaks version {found}, not {VERSION}")
            }
            Self::Hello(error) => write!(f, "hello cannot be read: {error}"),
        }
    }
}
