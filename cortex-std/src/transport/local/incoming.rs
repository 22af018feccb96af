//! The messages of one connection to a publisher.

use rustix::io::Errno;

use super::message::LocalMessage;
use super::reader::{Item, ReadError, Reader};
use super::stream::Stream;

/// What a read gave.
#[derive(Debug)]
pub(super) enum ReadResult {
    /// Take it with [`Incoming::take_message`].
    Message,
    /// A PING with this context: send PONG and read again.
    Ping(Vec<u8>),
    Nothing,
    Ended,
    Failed(ReadError),
}

/// A connection whose handshake is complete.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) stream: Stream,
    reader: Reader,
    /// Messages that the publisher may keep here, 0 for no limit.
    window: u32,
    /// Whether the last read returned all that the kernel had.
    is_drained: bool,
}

impl Incoming {
    pub(super) fn new(stream: Stream, reader: Reader, window: u32) -> Self {
        Self { stream, reader, window, is_drained: false }
    }

    /// The message that [`read`](Self::read) has found complete.
    #[inline]
    pub(super) fn take_message(&mut self) -> LocalMessage {
        let message = self.reader.take_message();
        self.reader.limit_reads(self.window, message.received_len());
        message
    }

    /// Receives without blocking. `skips_drained` reads nothing after a read that emptied the connection,
    /// for a caller that polls next.
    pub(super) fn read(&mut self, skips_drained: bool) -> ReadResult {
        loop {
            match self.reader.next() {
                Ok(Some(Item::Message)) => return ReadResult::Message,
                Ok(Some(Item::Ping(context))) => return ReadResult::Ping(context),
                Ok(None) => {}
                Err(error) => return ReadResult::Failed(error),
            }
            if self.is_drained && skips_drained {
                return ReadResult::Nothing;
            }
            let space = match self.reader.space() {
                Ok(space) => space,
                Err(error) => return ReadResult::Failed(error),
            };
            let len = space.len();
            match self.stream.recv(space) {
                Ok(0) => return ReadResult::Ended,
                Ok(count) => {
                    self.reader.received(count);
                    self.is_drained = count < len;
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => {
                    self.is_drained = true;
                    return ReadResult::Nothing;
                }
                Err(_) => return ReadResult::Ended,
            }
        }
    }
}
