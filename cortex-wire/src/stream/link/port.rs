//! A link on a stream.

use embedded_io::{Read, ReadReady, Write};

use crate::header::Header;
use crate::message::Message;
use crate::stream::error::{SendError, StreamError};
use crate::stream::io::Chunk;
use crate::stream::link::error::LinkError;
use crate::stream::link::halves::{LinkReader, LinkWriter};
use crate::stream::link::receiver::{Event, Receiver, Stats, take};
use crate::stream::link::sender::Sender;
use crate::stream::link::write::{self, MessageWriter};
use crate::stream::multipart::published_frames;

/// Why [`Link::publish`] failed; a frame that was started is lost.
pub type PublishError<E> = SendError<E, LinkError>;

/// One end of a serial link: a stream, and a buffer for one received frame.
///
/// # Examples
///
/// The loop of a board, over any stream that implements `ReadReady`:
///
/// ```
/// use cortex_wire::link::{Direction, Event, Hello, Link, Topic};
/// use cortex_wire::{FloatMessage, Header, IntMessage, decode};
/// # fn example<S: embedded_io::Read + embedded_io::ReadReady + embedded_io::Write>(uart: S, now_ms: fn() -> u64)
/// # -> Result<(), Box<dyn core::error::Error>> where S::Error: 'static {
///
/// let topics = [
///     Topic::of::<FloatMessage>(Direction::Published, "/temperature"),
///     Topic::of::<IntMessage>(Direction::Subscribed, "/rate"),
/// ];
/// let mut hello = [0; 128];
/// let hello = Hello { node: "board", epoch: 7, topics: topics[..].into(), time_ns: None }.encode(&mut hello)?;
///
/// let mut link = Link::new(uart, [0; 256]);
/// let mut scratch = [0; 32];
/// for sequence in 0.. {
///     link.send_hello_if_due(hello, now_ms())?;
///     let header = Header::of::<FloatMessage>(0, sequence);
///     link.publish("/temperature", &header, &FloatMessage { data: 21.5 }, &mut scratch)?;
///     if let Ok(Some(Event::Message(message))) = link.poll()
///         && message.topic() == b"/rate"
///     {
///         let rate = decode::<IntMessage>(&message)?.data;
///         // ...
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Link<S, B> {
    stream: S,
    sender: Sender,
    receiver: Receiver<B>,
    chunk: Chunk,
}

impl<S, B: AsRef<[u8]> + AsMut<[u8]>> Link<S, B> {
    /// A link on `stream`; `buffer` holds one received frame. Nothing is written yet.
    pub fn new(stream: S, buffer: B) -> Self {
        let (sender, receiver) = (Sender::new(), Receiver::new(buffer));
        Self { stream, sender, receiver, chunk: Chunk::new() }
    }

    /// The underlying stream.
    pub const fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The receiver's counters.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.receiver.stats()
    }

    /// The underlying stream; the link ends.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Discards what was received of an incomplete frame, and makes a hello due: for a stream that
    /// was interrupted or opened again. Counters and sequence numbers continue.
    pub fn restart(&mut self) {
        self.receiver.restart();
        self.sender.make_hello_due();
        self.chunk = Chunk::new();
    }

    /// The halves of the link, for two tasks of which one sends while the other waits for a frame.
    ///
    /// `divide` divides the stream, as the driver of a UART does.
    ///
    /// # Examples
    ///
    /// ```
    /// use cortex_wire::link::{Link, LinkReader, LinkWriter};
    ///
    /// # fn example(rx: &[u8], tx: &mut [u8]) {
    /// let link = Link::new((tx, rx), [0; 128]);
    /// let (writer, reader): (LinkWriter<_>, LinkReader<_, _>) = link.into_halves(|both| both);
    /// # let _ = (writer, reader);
    /// # }
    /// ```
    pub fn into_halves<W, R>(
        self,
        divide: impl FnOnce(S) -> (W, R),
    ) -> (LinkWriter<W>, LinkReader<R, B>) {
        let (writer, reader) = divide(self.stream);
        (
            LinkWriter { stream: writer, sender: self.sender },
            LinkReader { stream: reader, receiver: self.receiver, chunk: self.chunk },
        )
    }

    /// Processes the bytes of the last read.
    fn take<E>(&mut self) -> Result<Option<Event<'_>>, StreamError<E, LinkError>> {
        let result = take(&mut self.receiver, &mut self.chunk);
        if let Some(Ok(Event::Hello { is_new: true, .. })) = &result {
            self.sender.make_hello_due();
        }
        result.transpose().map_err(StreamError::Protocol)
    }
}

impl<S: Write, B: AsRef<[u8]> + AsMut<[u8]>> Link<S, B> {
    /// Sends a hello if one is due: once a second, and after the other end has started. Call it at
    /// least once a second.
    ///
    /// `hello` is the result of [`Hello::encode`](super::Hello::encode).
    ///
    /// Units: milliseconds of any monotonic clock.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`; the next hello is due a second later.
    pub fn send_hello_if_due(
        &mut self,
        hello: &[u8],
        now_ms: u64,
    ) -> Result<(), StreamError<S::Error, LinkError>> {
        write::hello_if_due(&mut self.stream, &mut self.sender, hello, now_ms)
    }

    /// Sends a message of these frames: topic, header, metadata, buffers.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`; the message is lost.
    pub fn send(&mut self, frames: &[&[u8]]) -> Result<(), StreamError<S::Error, LinkError>> {
        write::message(&mut self.stream, &mut self.sender, frames)
    }

    /// Encodes a message and sends it; `scratch` holds its metadata during the call.
    ///
    /// # Errors
    ///
    /// `Encode` before anything is sent, `Stream` if sending fails.
    pub fn publish<M: Message>(
        &mut self,
        topic: &str,
        header: &Header,
        message: &M,
        scratch: &mut [u8],
    ) -> Result<(), PublishError<S::Error>> {
        let header = header.encode();
        let frames =
            published_frames(topic, &header, message, scratch).map_err(PublishError::Encode)?;
        self.send(&frames).map_err(PublishError::Stream)
    }

    /// Starts a message that is written piece by piece: see [`MessageWriter`].
    pub fn start_message(&mut self) -> MessageWriter<'_, S> {
        MessageWriter::new(&mut self.stream, &mut self.sender)
    }
}

impl<S: Read, B: AsRef<[u8]> + AsMut<[u8]>> Link<S, B> {
    /// Reads once, unless bytes are left of the last read, and returns the event that became
    /// complete.
    ///
    /// # Errors
    ///
    /// `Protocol` if a frame was dropped; the next call continues after it. `Io` and `Ended` if the
    /// stream failed.
    pub fn receive(&mut self) -> Result<Option<Event<'_>>, StreamError<S::Error, LinkError>> {
        self.chunk.fill(&mut self.stream)?;
        self.take()
    }
}

impl<S: Read + ReadReady, B: AsRef<[u8]> + AsMut<[u8]>> Link<S, B> {
    /// As [`receive`](Self::receive), without waiting for the other end.
    ///
    /// # Errors
    ///
    /// As [`receive`](Self::receive).
    pub fn poll(&mut self) -> Result<Option<Event<'_>>, StreamError<S::Error, LinkError>> {
        if !self.chunk.is_ready(&mut self.stream)? {
            return Ok(None);
        }
        self.receive()
    }
}

#[cfg(feature = "async")]
impl<S: embedded_io_async::Write, B: AsRef<[u8]> + AsMut<[u8]>> Link<S, B> {
    /// As [`send_hello_if_due`](Self::send_hello_if_due).
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`; the next hello is due a second later.
    ///
    /// # Cancel safety
    ///
    /// The hello is lost; later frames are not affected.
    pub async fn send_hello_if_due_async(
        &mut self,
        hello: &[u8],
        now_ms: u64,
    ) -> Result<(), StreamError<S::Error, LinkError>> {
        write::hello_if_due_async(&mut self.stream, &mut self.sender, hello, now_ms).await
    }

    /// As [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`; the message is lost.
    ///
    /// # Cancel safety
    ///
    /// The message is lost; later frames are not affected.
    pub async fn send_async(
        &mut self,
        frames: &[&[u8]],
    ) -> Result<(), StreamError<S::Error, LinkError>> {
        write::message_async(&mut self.stream, &mut self.sender, frames).await
    }

    /// As [`publish`](Self::publish).
    ///
    /// # Errors
    ///
    /// `Encode` before anything is sent, `Stream` if sending fails.
    ///
    /// # Cancel safety
    ///
    /// The message is lost; later frames are not affected.
    pub async fn publish_async<M: Message>(
        &mut self,
        topic: &str,
        header: &Header,
        message: &M,
        scratch: &mut [u8],
    ) -> Result<(), PublishError<S::Error>> {
        let header = header.encode();
        let frames =
            published_frames(topic, &header, message, scratch).map_err(PublishError::Encode)?;
        self.send_async(&frames).await.map_err(PublishError::Stream)
    }
}

#[cfg(feature = "async")]
impl<S: embedded_io_async::Read, B: AsRef<[u8]> + AsMut<[u8]>> Link<S, B> {
    /// As [`receive`](Self::receive).
    ///
    /// # Errors
    ///
    /// `Protocol` if a frame was dropped; the next call continues after it. `Io` and `Ended` if the
    /// stream failed.
    ///
    /// # Cancel safety
    ///
    /// Safe if the stream's `read` is.
    pub async fn receive_async(
        &mut self,
    ) -> Result<Option<Event<'_>>, StreamError<S::Error, LinkError>> {
        self.chunk.fill_async(&mut self.stream).await?;
        self.take()
    }
}
