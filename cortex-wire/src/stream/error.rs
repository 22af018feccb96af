//! Errors of a byte stream.

use core::fmt;

/// Why a stream gave no message, or took none: the stream's reason, or the peer's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StreamError<E, P> {
    /// The stream failed.
    Io(E),
    /// The stream has ended: it gave no more bytes, or took none.
    Ended,
    /// The bytes are not those of the protocol.
    Protocol(P),
}

impl<E: fmt::Display, P: fmt::Display> fmt::Display for StreamError<E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the stream failed: {error}"),
            Self::Ended => f.write_str("the stream has ended"),
            Self::Protocol(error) => error.fmt(f),
        }
    }
}

impl<E, P> core::error::Error for StreamError<E, P>
where
    E: core::error::Error + 'static,
    P: core::error::Error + 'static,
{
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Ended => None,
            Self::Protocol(error) => error.source(),
        }
    }
}
