//! A link on a stream.

use embedded_io::{Read, ReadReady, Write};

use crate::header::Header;
use crate::message::Message;
use crate::stream::error::{SendError, StreamError};
#[cfg(feature = "async")]
use crate::stream::io::write_all_async;
use crate::stream::io::{Chunk, write_all};
use crate::stream::link::error::LinkError;
use crate::stream::link::frame::FrameEncoder;
use crate::stream::link::layout::{KIND_HELLO, KIND_MESSAGE};
use crate::stream::link::receiver::{Event, Receiver, Stats};
use crate::stream::link::sender::{Sender, length_prefix};
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
/// let hello = Hello { node: "board", epoch: 7, topics: topics[..].into() }.encode(&mut hello)?;
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

    /// Processes the bytes of the last read.
    fn take<E>(&mut self) -> Result<Option<Event<'_>>, StreamError<E, LinkError>> {
        let mut input = self.chunk.rest();
        let result = self.receiver.receive(&mut input);
        self.chunk.keep(input.len());
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
        if self.sender.hello_is_due(now_ms) { self.send_hello(hello) } else { Ok(()) }
    }

    // Not inlined, so that the frame is on the stack only during the call.
    #[inline(never)]
    fn send_hello(&mut self, hello: &[u8]) -> Result<(), StreamError<S::Error, LinkError>> {
        let mut frame = FrameEncoder::new();
        self.sender.begin(&mut frame, KIND_HELLO);
        push(&mut self.stream, &mut frame, hello)?;
        finish(&mut self.stream, &mut frame)
    }

    /// Sends a message of these frames: topic, header, metadata, buffers.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`; the message is lost.
    #[inline(never)]
    pub fn send(&mut self, frames: &[&[u8]]) -> Result<(), StreamError<S::Error, LinkError>> {
        let mut frame = FrameEncoder::new();
        self.sender.begin(&mut frame, KIND_MESSAGE);
        for bytes in frames {
            push(&mut self.stream, &mut frame, &length_prefix(bytes))?;
            push(&mut self.stream, &mut frame, bytes)?;
        }
        finish(&mut self.stream, &mut frame)
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
        MessageWriter {
            stream: &mut self.stream,
            frame: self.sender.start_message(),
            left: 0,
            is_whole: true,
        }
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
        if !self.sender.hello_is_due(now_ms) {
            return Ok(());
        }
        let mut frame = FrameEncoder::new();
        self.sender.begin(&mut frame, KIND_HELLO);
        push_async(&mut self.stream, &mut frame, hello).await?;
        write_all_async(&mut self.stream, frame.finish()).await?;
        self.stream.flush().await.map_err(StreamError::Io)
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
        let mut frame = FrameEncoder::new();
        self.sender.begin(&mut frame, KIND_MESSAGE);
        for bytes in frames {
            push_async(&mut self.stream, &mut frame, &length_prefix(bytes)).await?;
            push_async(&mut self.stream, &mut frame, bytes).await?;
        }
        write_all_async(&mut self.stream, frame.finish()).await?;
        self.stream.flush().await.map_err(StreamError::Io)
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

/// Writer of a message in pieces: its bytes never need to be in memory at the same time.
///
/// If it is dropped before [`finish`](Self::finish), or finished before a frame is complete, the
/// receiver drops the message.
///
/// # Examples
///
/// An image, line by line:
///
/// ```
/// # use cortex_wire::link::Link;
/// # fn example<S: embedded_io::Write>(link: &mut Link<S, [u8; 64]>, header: &[u8],
/// #     metadata: &[u8], mut scan: impl FnMut(usize) -> [u8; 320])
/// # -> Result<(), cortex_wire::StreamError<S::Error, cortex_wire::link::LinkError>> {
/// let mut message = link.start_message();
/// message.frame(b"/camera")?;
/// message.frame(header)?;
/// message.frame(metadata)?;
/// message.start_frame(320 * 240)?;
/// for line in 0..240 {
///     message.write(&scan(line))?;
/// }
/// message.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "the receiver drops a message that is not finished"]
pub struct MessageWriter<'l, S> {
    stream: &'l mut S,
    frame: FrameEncoder,
    /// Bytes missing from the started frame.
    left: u32,
    /// Whether each frame was complete before the next was started.
    is_whole: bool,
}

impl<S: Write> MessageWriter<'_, S> {
    /// Sends a complete frame.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`.
    pub fn frame(&mut self, bytes: &[u8]) -> Result<(), StreamError<S::Error, LinkError>> {
        self.start_frame(u32::try_from(bytes.len()).unwrap_or(u32::MAX))?;
        self.write(bytes)
    }

    /// Starts a frame of `len` bytes.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`.
    pub fn start_frame(&mut self, len: u32) -> Result<(), StreamError<S::Error, LinkError>> {
        self.is_whole &= self.left == 0;
        self.left = len;
        push(self.stream, &mut self.frame, &len.to_be_bytes())
    }

    /// Sends the next bytes of the frame; bytes beyond its length are discarded.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError<S::Error, LinkError>> {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let bytes = bytes.get(..left).unwrap_or(bytes);
        self.left = self.left.saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        push(self.stream, &mut self.frame, bytes)
    }

    /// Ends the message.
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`.
    pub fn finish(mut self) -> Result<(), StreamError<S::Error, LinkError>> {
        if self.left == 0 && self.is_whole {
            return finish(self.stream, &mut self.frame);
        }
        // The frame ends without its checksum, so the other end drops it.
        write_all(self.stream, &[0])
    }
}

fn push<S: Write>(
    stream: &mut S,
    frame: &mut FrameEncoder,
    mut bytes: &[u8],
) -> Result<(), StreamError<S::Error, LinkError>> {
    while let Some(block) = frame.push(&mut bytes) {
        write_all(stream, block)?;
    }
    Ok(())
}

fn finish<S: Write>(
    stream: &mut S,
    frame: &mut FrameEncoder,
) -> Result<(), StreamError<S::Error, LinkError>> {
    write_all(stream, frame.finish())?;
    stream.flush().map_err(StreamError::Io)
}

#[cfg(feature = "async")]
async fn push_async<S: embedded_io_async::Write>(
    stream: &mut S,
    frame: &mut FrameEncoder,
    mut bytes: &[u8],
) -> Result<(), StreamError<S::Error, LinkError>> {
    while let Some(block) = frame.push(&mut bytes) {
        write_all_async(stream, block).await?;
    }
    Ok(())
}
