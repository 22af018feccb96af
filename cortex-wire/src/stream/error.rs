//! Errors that both protocols over byte streams share.

use core::fmt;

use crate::error::EncodeError;

/// Why a message could not be received from a stream, or not be sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StreamError<E, P> {
    /// The stream failed.
    Io(E),
    /// The stream has ended: a read or a write transferred no bytes.
    Ended,
    /// The received bytes violate the protocol.
    Protocol(P),
}

impl<E: fmt::Display, P: fmt::Display> fmt::Display for StreamError<E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "stream failed: {error}"),
            Self::Ended => f.write_str("stream has ended"),
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

/// An error in received bytes, and its position in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ProtocolError<K> {
    /// The reason.
    pub kind: K,
    /// Bytes received since the start of the stream when the error was detected.
    pub offset: u64,
}

impl<K: fmt::Display> fmt::Display for ProtocolError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {} of the stream)", self.kind, self.offset)
    }
}

impl<K: fmt::Debug + fmt::Display> core::error::Error for ProtocolError<K> {}

/// Why a message was not sent, or only in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SendError<E, P> {
    /// The message cannot be encoded, or the scratch buffer is too small for its metadata.
    Encode(EncodeError),
    /// The stream failed while the message was written.
    Stream(StreamError<E, P>),
}

impl<E: fmt::Display, P: fmt::Display> fmt::Display for SendError<E, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(error) => error.fmt(f),
            Self::Stream(error) => error.fmt(f),
        }
    }
}

impl<E, P> core::error::Error for SendError<E, P>
where
    E: core::error::Error + 'static,
    P: core::error::Error + 'static,
{
}

// So that one function can use `?` for all of them: its error is `SendError`, or `RegisterError`
// where it registers a topic.

impl<E, K> From<ProtocolError<K>> for StreamError<E, ProtocolError<K>> {
    fn from(error: ProtocolError<K>) -> Self {
        Self::Protocol(error)
    }
}

impl<E, K> From<ProtocolError<K>> for SendError<E, ProtocolError<K>> {
    fn from(error: ProtocolError<K>) -> Self {
        Self::Stream(StreamError::Protocol(error))
    }
}

impl<E, P> From<StreamError<E, P>> for SendError<E, P> {
    fn from(error: StreamError<E, P>) -> Self {
        Self::Stream(error)
    }
}

impl<E, P> From<EncodeError> for SendError<E, P> {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}
