//! The two halves of a link, each on its half of the stream.

use embedded_io::{Read, ReadReady, Write};

use crate::header::Header;
use crate::message::Message;
use crate::stream::error::{SendError, StreamError};
use crate::stream::io::Chunk;
use crate::stream::link::error::LinkError;
use crate::stream::link::receiver::{Event, Receiver, Stats, take};
use crate::stream::link::sender::Sender;
use crate::stream::link::write::{self, MessageWriter};
use crate::stream::multipart::published_frames;

/// The sending half of a [`Link`](super::Link), made by
/// [`into_halves`](super::Link::into_halves).
///
/// It does not know when the other end has started: on a hello that [is
/// new](super::Event::Hello), call [`make_hello_due`](Self::make_hello_due), or the other end waits up
/// to a second for our hello.
#[derive(Debug)]
pub struct LinkWriter<S> {
    pub(super) stream: S,
    pub(super) sender: Sender,
}

/// The receiving half of a [`Link`](super::Link), made by
/// [`into_halves`](super::Link::into_halves).
#[derive(Debug)]
pub struct LinkReader<S, B> {
    pub(super) stream: S,
    pub(super) receiver: Receiver<B>,
    pub(super) chunk: Chunk,
}

impl<S> LinkWriter<S> {
    /// Makes a hello due at once.
    pub const fn make_hello_due(&mut self) {
        self.sender.make_hello_due();
    }

    /// The underlying stream.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: Write> LinkWriter<S> {
    /// As [`Link::send_hello_if_due`](super::Link::send_hello_if_due).
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

    /// As [`Link::send`](super::Link::send).
    ///
    /// # Errors
    ///
    /// `Io` or `Ended`; the message is lost.
    pub fn send(&mut self, frames: &[&[u8]]) -> Result<(), StreamError<S::Error, LinkError>> {
        write::message(&mut self.stream, &mut self.sender, frames)
    }

    /// As [`Link::publish`](super::Link::publish).
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
    ) -> Result<(), SendError<S::Error, LinkError>> {
        let header = header.encode();
        Ok(self.send(&published_frames(topic, &header, message, scratch)?)?)
    }

    /// As [`Link::start_message`](super::Link::start_message).
    pub fn start_message(&mut self) -> MessageWriter<'_, S> {
        MessageWriter::new(&mut self.stream, &mut self.sender)
    }
}

#[cfg(feature = "async")]
impl<S: embedded_io_async::Write> LinkWriter<S> {
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
    ) -> Result<(), SendError<S::Error, LinkError>> {
        let header = header.encode();
        Ok(self.send_async(&published_frames(topic, &header, message, scratch)?).await?)
    }
}

impl<S, B: AsRef<[u8]> + AsMut<[u8]>> LinkReader<S, B> {
    /// The receiver's counters.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.receiver.stats()
    }

    /// Discards what was received of an incomplete frame: for a stream that was interrupted.
    pub fn restart(&mut self) {
        self.receiver.restart();
        self.chunk = Chunk::new();
    }

    /// The underlying stream.
    pub fn into_inner(self) -> S {
        self.stream
    }

    fn take<E>(&mut self) -> Result<Option<Event<'_>>, StreamError<E, LinkError>> {
        take(&mut self.receiver, &mut self.chunk).transpose().map_err(StreamError::Protocol)
    }
}

impl<S: Read, B: AsRef<[u8]> + AsMut<[u8]>> LinkReader<S, B> {
    /// As [`Link::receive`](super::Link::receive).
    ///
    /// # Errors
    ///
    /// As [`Link::receive`](super::Link::receive).
    pub fn receive(&mut self) -> Result<Option<Event<'_>>, StreamError<S::Error, LinkError>> {
        self.chunk.fill(&mut self.stream)?;
        self.take()
    }

    /// As [`Link::poll`](super::Link::poll).
    ///
    /// # Errors
    ///
    /// As [`Link::receive`](super::Link::receive).
    pub fn poll(&mut self) -> Result<Option<Event<'_>>, StreamError<S::Error, LinkError>>
    where
        S: ReadReady,
    {
        if !self.chunk.is_ready(&mut self.stream)? {
            return Ok(None);
        }
        self.receive()
    }
}

#[cfg(feature = "async")]
impl<S: embedded_io_async::Read, B: AsRef<[u8]> + AsMut<[u8]>> LinkReader<S, B> {
    /// As [`receive`](Self::receive).
    ///
    /// # Errors
    ///
    /// As [`Link::receive`](super::Link::receive).
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

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::codec::decode;
    use crate::standard::FloatMessage;
    use crate::stream::link::hello::Hello;
    use crate::stream::link::port::Link;

    #[test]
    fn what_one_half_sends_the_other_half_of_the_other_end_receives() {
        let link = Link::new((Line(Vec::new()), &b""[..]), [0; 128]);
        let mut out = [0; 64];
        let hello = Hello { node: "board", epoch: 7, topics: Default::default(), time_ns: None };
        let hello = hello.encode(&mut out).expect("it fits");
        let (mut line, reader) = link.into_halves(|both| both);
        assert_eq!(reader.into_inner(), b"");
        line.send_hello_if_due(hello, 5).expect("a vector");
        line.send_hello_if_due(hello, 6).expect("a vector");
        line.make_hello_due();
        line.send_hello_if_due(hello, 7).expect("a vector");
        let header = Header::of::<FloatMessage>(1, 2);
        line.publish("/t", &header, &FloatMessage { data: 0.5 }, &mut [0; 16]).expect("a vector");
        line.start_message().finish().expect("a vector");

        let bytes = line.into_inner().0;
        let link = Link::new((Line(Vec::new()), &bytes[..]), [0; 128]);
        let (_, mut reader) = link.into_halves(|both| both);
        let mut events = (0, 0);
        while let Ok(event) = reader.receive() {
            match event {
                Some(Event::Hello { hello, .. }) => {
                    assert_eq!(hello.node, "board");
                    events.0 += 1;
                }
                Some(Event::Message(message)) => {
                    assert_eq!(message.header(), Ok(header));
                    assert_eq!(decode::<FloatMessage>(&message).map(|float| float.data), Ok(0.5));
                    events.1 += 1;
                }
                None => {}
            }
            // The last message has no frames, so its frame is refused.
            if reader.stats().frames == 3 {
                break;
            }
        }
        assert_eq!((events, reader.stats().lost), ((2, 1), 0));
        reader.restart();
        assert_eq!(reader.stats().frames, 3);
    }

    struct Line(Vec<u8>);

    impl embedded_io::ErrorType for Line {
        type Error = core::convert::Infallible;
    }

    impl Write for Line {
        fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
            self.0.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> Result<(), Self::Error> {
            Ok(())
        }
    }
}
