//! Registration of a topic at the discovery daemon.

use core::fmt;

use embedded_io::{Read, Write};

use crate::discovery::{Command, Request, RequestExt, Response, Status};
use crate::error::{DecodeError, EncodeError};
use crate::stream::error::StreamError;
use crate::stream::zmtp::connection::Event;
use crate::stream::zmtp::error::ZmtpError;
use crate::stream::zmtp::socket::{SendError, Socket};
use crate::topics::TopicInfo;

/// Why a topic was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RegisterError<E> {
    /// The scratch buffer is too small for the request.
    Encode(EncodeError),
    /// The stream failed; the connection is lost.
    Stream(StreamError<E, ZmtpError>),
    /// The daemon's reply does not decode, or (`None`) is longer than the connection's buffer.
    Reply(Option<DecodeError>),
}

impl<E: fmt::Display> fmt::Display for RegisterError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encode(error) => error.fmt(f),
            Self::Stream(error) => error.fmt(f),
            Self::Reply(Some(error)) => write!(f, "reply does not decode: {error}"),
            Self::Reply(None) => f.write_str("reply is longer than the buffer"),
        }
    }
}

impl<E: core::error::Error + 'static> core::error::Error for RegisterError<E> {}

impl<E> From<EncodeError> for RegisterError<E> {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl<E> From<ZmtpError> for RegisterError<E> {
    fn from(error: ZmtpError) -> Self {
        Self::Stream(StreamError::Protocol(error))
    }
}

impl<E> From<StreamError<E, ZmtpError>> for RegisterError<E> {
    fn from(error: StreamError<E, ZmtpError>) -> Self {
        Self::Stream(error)
    }
}

impl<E> From<SendError<E>> for RegisterError<E> {
    fn from(error: SendError<E>) -> Self {
        match error {
            SendError::Encode(error) => Self::Encode(error),
            SendError::Stream(error) => Self::Stream(error),
        }
    }
}

/// Registers a topic at the daemon and waits for the reply; `scratch` holds the request.
///
/// Repeat it every few seconds, on the same connection or a new one: a restarted daemon may have
/// lost the registration.
///
/// # Errors
///
/// `Stream` if the daemon cannot be reached, `Encode` and `Reply`.
pub fn register<S: Read + Write, B: AsRef<[u8]> + AsMut<[u8]>>(
    client: &mut Socket<'_, S, B>,
    topic: &TopicInfo<'_>,
    ext: RequestExt,
    scratch: &mut [u8],
) -> Result<Status, RegisterError<S::Error>> {
    let request = Request {
        topic_name: Some(topic.name),
        topic_info: Some(*topic),
        ext,
        ..Request::new(Command::RegisterTopic)
    };
    let body = request.encode(scratch).map_err(RegisterError::Encode)?;
    client.handshake().map_err(RegisterError::Stream)?;
    client.send(&[b"", body]).map_err(RegisterError::Stream)?;
    loop {
        match client.receive().map_err(RegisterError::Stream)? {
            Some(Event::Message(reply)) => {
                return match Response::decode(reply.topic()) {
                    Ok(response) => Ok(response.status),
                    Err(error) => Err(RegisterError::Reply(Some(error))),
                };
            }
            Some(Event::TooLong { .. }) => return Err(RegisterError::Reply(None)),
            _ => {}
        }
    }
}
