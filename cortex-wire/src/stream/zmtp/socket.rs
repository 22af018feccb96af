//! A connection on a stream.

use embedded_io::{Read, ReadReady, Write};

use crate::header::Header;
use crate::message::Message;
use crate::stream::error::{self, StreamError};
#[cfg(feature = "async")]
use crate::stream::io::write_all_async;
use crate::stream::io::{Chunk, write_all};
use crate::stream::multipart::published_frames;
use crate::stream::zmtp::connection::{Connection, Event, Role};
use crate::stream::zmtp::error::ZmtpError;

/// Why [`Socket::publish`] failed; after a failure of the stream the connection is lost.
pub type SendError<E> = error::SendError<E, ZmtpError>;

/// A [`Connection`] on its stream.
///
/// After an error of the stream or the protocol, drop it and open a new one.
#[derive(Debug)]
pub struct Socket<'t, S, B> {
    stream: S,
    connection: Connection<'t, B>,
    chunk: Chunk,
}

impl<'t, S, B: AsRef<[u8]> + AsMut<[u8]>> Socket<'t, S, B> {
    /// A socket on a new stream, connected or accepted. Nothing is written yet.
    ///
    /// # Errors
    ///
    /// As [`Connection::new`].
    pub fn new(stream: S, role: Role<'t>, buffer: B) -> Result<Self, ZmtpError> {
        let connection = Connection::new(role, buffer)?;
        Ok(Self { stream, connection, chunk: Chunk::new() })
    }

    /// The underlying stream.
    pub const fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The state of the protocol.
    #[must_use]
    pub const fn connection(&self) -> &Connection<'t, B> {
        &self.connection
    }

    /// Processes the bytes of the last read.
    fn take<E>(&mut self) -> Result<Option<Event<'_>>, StreamError<E, ZmtpError>> {
        let mut input = self.chunk.rest();
        let event = self.connection.receive(&mut input);
        self.chunk.keep(input.len());
        event.map_err(StreamError::Protocol)
    }
}

impl<S: Write, B: AsRef<[u8]> + AsMut<[u8]>> Socket<'_, S, B> {
    /// Writes pending bytes: greeting, handshake and PONGs.
    fn write_pending(&mut self) -> Result<(), StreamError<S::Error, ZmtpError>> {
        let pending = self.connection.pending();
        if pending.is_empty() {
            return Ok(());
        }
        write_all(&mut self.stream, pending)?;
        let count = pending.len();
        self.connection.written(count);
        self.stream.flush().map_err(StreamError::Io)
    }

    /// Sends a message of these frames. Returns false, and sends nothing, if the peer of a
    /// publisher is not subscribed or the handshake is not complete.
    ///
    /// A publisher's first frame must be its topic.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`.
    pub fn send(&mut self, frames: &[&[u8]]) -> Result<bool, StreamError<S::Error, ZmtpError>> {
        self.write_pending()?;
        if !self.is_wanted(frames) {
            return Ok(false);
        }
        for (index, frame) in frames.iter().enumerate() {
            let is_last = index.saturating_add(1) == frames.len();
            let head = self.connection.message_head(frame.len(), is_last);
            write_all(&mut self.stream, &head)?;
            write_all(&mut self.stream, frame)?;
        }
        self.stream.flush().map_err(StreamError::Io)?;
        Ok(true)
    }

    /// Encodes a message of a publisher's topic and sends it, as [`send`](Self::send); `scratch`
    /// holds its metadata during the call.
    ///
    /// # Errors
    ///
    /// `Encode` before anything is sent, `Stream` if sending fails.
    pub fn publish<M: Message>(
        &mut self,
        header: &Header,
        message: &M,
        scratch: &mut [u8],
    ) -> Result<bool, SendError<S::Error>> {
        let Role::Pub { topic } = self.connection.role() else { return Ok(false) };
        let header = header.encode();
        let frames =
            published_frames(topic, &header, message, scratch).map_err(SendError::Encode)?;
        self.send(&frames).map_err(SendError::Stream)
    }

    /// Subscribes to messages with this prefix, or cancels the subscription. Returns false, and
    /// sends nothing, if the handshake is not complete.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`.
    pub fn subscribe(
        &mut self,
        prefix: &[u8],
        subscribe: bool,
    ) -> Result<bool, StreamError<S::Error, ZmtpError>> {
        self.write_pending()?;
        if !self.connection.is_ready() {
            return Ok(false);
        }
        let head = self.connection.subscription_head(prefix.len(), subscribe);
        write_all(&mut self.stream, &head)?;
        write_all(&mut self.stream, prefix)?;
        self.stream.flush().map_err(StreamError::Io)?;
        Ok(true)
    }
}

impl<S, B: AsRef<[u8]> + AsMut<[u8]>> Socket<'_, S, B> {
    fn is_wanted(&self, frames: &[&[u8]]) -> bool {
        self.connection.is_ready()
            && match self.connection.role() {
                Role::Pub { topic } => {
                    self.connection.is_subscribed() && frames.first() == Some(&topic.as_bytes())
                }
                Role::Sub => false,
                Role::Req => true,
            }
    }
}

impl<S: Read + Write, B: AsRef<[u8]> + AsMut<[u8]>> Socket<'_, S, B> {
    /// Writes pending bytes, reads once, unless bytes are left of the last read, and returns the
    /// event that became complete.
    ///
    /// # Errors
    ///
    /// `Io`, `Ended`, or `Protocol` if the peer's bytes violate the protocol.
    pub fn receive(&mut self) -> Result<Option<Event<'_>>, StreamError<S::Error, ZmtpError>> {
        self.write_pending()?;
        self.chunk.fill(&mut self.stream)?;
        self.take()
    }

    /// As [`receive`](Self::receive), without waiting for the peer.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn poll(&mut self) -> Result<Option<Event<'_>>, StreamError<S::Error, ZmtpError>>
    where
        S: ReadReady,
    {
        self.write_pending()?;
        if !self.chunk.is_ready(&mut self.stream)? {
            return Ok(None);
        }
        self.receive()
    }

    /// Waits until the handshake is complete.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn handshake(&mut self) -> Result<(), StreamError<S::Error, ZmtpError>> {
        while !self.connection.is_ready() {
            self.receive()?;
        }
        self.write_pending()
    }
}

#[cfg(feature = "async")]
impl<S, B: AsRef<[u8]> + AsMut<[u8]>> Socket<'_, S, B>
where
    S: embedded_io_async::Read + embedded_io_async::Write,
{
    async fn write_pending_async(&mut self) -> Result<(), StreamError<S::Error, ZmtpError>> {
        while !self.connection.pending().is_empty() {
            let count = match self.stream.write(self.connection.pending()).await {
                Ok(0) => return Err(StreamError::Ended),
                Ok(count) => count,
                Err(error) => return Err(StreamError::Io(error)),
            };
            self.connection.written(count);
        }
        self.stream.flush().await.map_err(StreamError::Io)
    }

    /// As [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`.
    ///
    /// # Cancel safety
    ///
    /// None: a started message must be sent completely, so drop the socket.
    pub async fn send_async(
        &mut self,
        frames: &[&[u8]],
    ) -> Result<bool, StreamError<S::Error, ZmtpError>> {
        self.write_pending_async().await?;
        if !self.is_wanted(frames) {
            return Ok(false);
        }
        for (index, frame) in frames.iter().enumerate() {
            let is_last = index.saturating_add(1) == frames.len();
            let head = self.connection.message_head(frame.len(), is_last);
            write_all_async(&mut self.stream, &head).await?;
            write_all_async(&mut self.stream, frame).await?;
        }
        self.stream.flush().await.map_err(StreamError::Io)?;
        Ok(true)
    }

    /// As [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// `Encode` before anything is sent, `Stream` if sending fails.
    ///
    /// # Cancel safety
    ///
    /// As [`send_async`](Self::send_async).
    pub async fn publish_async<M: Message>(
        &mut self,
        header: &Header,
        message: &M,
        scratch: &mut [u8],
    ) -> Result<bool, SendError<S::Error>> {
        let Role::Pub { topic } = self.connection.role() else { return Ok(false) };
        let header = header.encode();
        let frames =
            published_frames(topic, &header, message, scratch).map_err(SendError::Encode)?;
        self.send_async(&frames).await.map_err(SendError::Stream)
    }

    /// As [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`.
    ///
    /// # Cancel safety
    ///
    /// As [`send_async`](Self::send_async).
    pub async fn subscribe_async(
        &mut self,
        prefix: &[u8],
        subscribe: bool,
    ) -> Result<bool, StreamError<S::Error, ZmtpError>> {
        self.write_pending_async().await?;
        if !self.connection.is_ready() {
            return Ok(false);
        }
        let head = self.connection.subscription_head(prefix.len(), subscribe);
        write_all_async(&mut self.stream, &head).await?;
        write_all_async(&mut self.stream, prefix).await?;
        self.stream.flush().await.map_err(StreamError::Io)?;
        Ok(true)
    }

    /// As [`receive`](Self::receive).
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    ///
    /// # Cancel safety
    ///
    /// Safe if the stream's `read` and `write` are.
    pub async fn receive_async(
        &mut self,
    ) -> Result<Option<Event<'_>>, StreamError<S::Error, ZmtpError>> {
        self.write_pending_async().await?;
        self.chunk.fill_async(&mut self.stream).await?;
        self.take()
    }
}
