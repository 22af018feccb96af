//! The state machine of one connection: bytes in, events and bytes out.

use crate::stream::io::append;
use crate::stream::multipart::{FrameList, Multipart, PREFIX_LEN};
use crate::stream::zmtp::command::{Command, pong_head, subscription_head, write_ready};
use crate::stream::zmtp::error::{ZmtpError, ZmtpErrorKind};
use crate::stream::zmtp::frame::{FrameHead, FrameHeader};
use crate::stream::zmtp::greeting::Greeting;

/// Capacity for bytes to write: greeting, READY, and some PONGs.
const OUT_CAPACITY: usize = 160;

/// Bytes of the longest PONG, which returns the 16 bytes of a PING.
const MAX_PONG_LEN: usize = 2 + 5 + 16;

/// Bytes of buffer for the handshake of libzmq.
const HANDSHAKE_LEN: usize = 64;

/// Bytes of `SUBSCRIBE` with its length.
const SUBSCRIBE_LEN: usize = 10;

/// The socket type of our end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Role<'t> {
    /// A publisher of one topic.
    Pub {
        /// The topic.
        topic: &'t str,
    },
    /// A subscriber.
    Sub,
    /// A client that sends one request at a time and receives its reply.
    Req,
}

impl Role<'_> {
    const fn socket_type(self) -> &'static [u8; 3] {
        match self {
            Self::Pub { .. } => b"PUB",
            Self::Sub => b"SUB",
            Self::Req => b"REQ",
        }
    }

    fn accepts_peer(self, socket_type: &[u8]) -> bool {
        match self {
            Self::Pub { .. } => matches!(socket_type, b"SUB" | b"XSUB"),
            Self::Sub => matches!(socket_type, b"PUB" | b"XPUB"),
            Self::Req => matches!(socket_type, b"REP" | b"ROUTER"),
        }
    }
}

/// An event of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event<'a> {
    /// The handshake is complete; messages can be sent.
    Ready,
    /// A message; a reply does not include its empty delimiter frame.
    Message(Multipart<'a>),
    /// A message longer than the buffer was dropped.
    TooLong {
        /// Bytes of buffer that it needs.
        len: u64,
    },
    /// The peer has subscribed to the publisher's topic; each subscription is an event.
    Subscribed,
    /// The peer has cancelled one such subscription.
    Cancelled,
}

/// The position in the stream.
#[derive(Clone, Copy, Debug)]
enum State {
    /// In the greeting.
    Greeting(Greeting),
    /// In the head of a frame.
    Head { head: [u8; 9], len: usize },
    /// In the body of a frame.
    Body { header: FrameHeader, left: u64, keep: bool },
    /// After an error.
    Failed(ZmtpError),
}

const HEAD: State = State::Head { head: [0; 9], len: 0 };

/// An event that does not borrow yet.
enum Taken {
    Ready,
    Message,
    TooLong(u64),
    Subscribed,
    Cancelled,
}

/// A connection to one peer, connected or accepted.
///
/// `B` is the buffer for one received message and 4 bytes for each of its frames: `[u8; N]` on a
/// board. A publisher's buffer holds the handshake or a subscription; see [`Connection::new`].
#[derive(Debug)]
pub struct Connection<'t, B> {
    role: Role<'t>,
    buffer: B,
    /// The frames of the message so far.
    frames: FrameList,
    /// Bytes of the frame in the buffer, after the others.
    body_len: usize,
    /// Bytes of buffer that a message needs which does not fit; 0 if it fits.
    needed: u64,
    /// Whether the message in the buffer was returned.
    is_taken: bool,
    state: State,
    is_ready: bool,
    minor: u8,
    subscriptions: u32,
    offset: u64,
    out: heapless::Vec<u8, OUT_CAPACITY>,
}

impl<'t, B: AsRef<[u8]> + AsMut<[u8]>> Connection<'t, B> {
    /// A connection at the start of its stream; its greeting is pending.
    ///
    /// # Errors
    ///
    /// `BufferTooSmall` if the buffer cannot hold a handshake or, for a publisher, a subscription
    /// to its topic.
    pub fn new(role: Role<'t>, buffer: B) -> Result<Self, ZmtpError> {
        let capacity = buffer.as_ref().len();
        let needed = match role {
            Role::Pub { topic } => topic.len().saturating_add(SUBSCRIBE_LEN).max(HANDSHAKE_LEN),
            _ => HANDSHAKE_LEN,
        };
        // Each frame is stored beside its end, as in a message.
        let needed = needed.saturating_add(PREFIX_LEN);
        if capacity < needed {
            let kind = ZmtpErrorKind::BufferTooSmall { needed, capacity };
            return Err(ZmtpError { kind, offset: 0 });
        }
        let mut out = heapless::Vec::new();
        append(&mut out, &Greeting::BYTES);
        Ok(Self {
            role,
            buffer,
            frames: FrameList::new(),
            body_len: 0,
            needed: 0,
            is_taken: false,
            state: State::Greeting(Greeting::new()),
            is_ready: false,
            minor: 0,
            subscriptions: 0,
            offset: 0,
            out,
        })
    }

    /// The socket type of our end.
    #[must_use]
    pub const fn role(&self) -> Role<'t> {
        self.role
    }

    /// Whether the handshake is complete.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Whether the peer is subscribed to the publisher's topic.
    #[must_use]
    pub const fn is_subscribed(&self) -> bool {
        self.subscriptions > 0
    }

    /// Bytes that must be written before any others.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        &self.out
    }

    /// Removes the first `count` pending bytes, which were written.
    pub fn written(&mut self, count: usize) {
        let len = self.out.len();
        let count = count.min(len);
        self.out.copy_within(count.., 0);
        self.out.truncate(len.saturating_sub(count));
    }

    /// Consumes bytes from the start of `input` until an event; returns `None` when `input` is
    /// empty, or when [pending](Self::pending) bytes must be written before the next command can
    /// be answered. Call it and write the pending bytes until `input` is empty.
    ///
    /// # Errors
    ///
    /// Why the peer's bytes are invalid; later calls return the same error.
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Event<'_>>, ZmtpError> {
        let taken = match self.take(input) {
            Ok(taken) => taken,
            Err(kind) => {
                let error = match self.state {
                    State::Failed(error) => error,
                    _ => ZmtpError { kind, offset: self.offset },
                };
                self.state = State::Failed(error);
                return Err(error);
            }
        };
        Ok(match taken {
            None => None,
            Some(Taken::Ready) => Some(Event::Ready),
            Some(Taken::TooLong(len)) => Some(Event::TooLong { len }),
            Some(Taken::Subscribed) => Some(Event::Subscribed),
            Some(Taken::Cancelled) => Some(Event::Cancelled),
            Some(Taken::Message) => self.message().map(Event::Message),
        })
    }

    /// The head of a frame of a message; `is_last` if no frame follows.
    #[must_use]
    pub fn message_head(&self, len: usize, is_last: bool) -> FrameHead {
        FrameHeader::message(u64::try_from(len).unwrap_or(u64::MAX), is_last).encode()
    }

    /// The bytes before the prefix of a subscription, or of its cancellation: a command, or a
    /// message if the peer uses ZMTP 3.0. Valid once the connection is [ready](Self::is_ready).
    #[must_use]
    pub fn subscription_head(&self, prefix_len: usize, subscribe: bool) -> FrameHead {
        subscription_head(self.minor, prefix_len, subscribe)
    }

    /// The message in the buffer; a reply must start with an empty delimiter frame.
    fn message(&self) -> Option<Multipart<'_>> {
        let message = self.frames.message(self.buffer.as_ref())?;
        match self.role {
            Role::Req => message.after_delimiter(),
            _ => Some(message),
        }
    }

    fn take(&mut self, input: &mut &[u8]) -> Result<Option<Taken>, ZmtpErrorKind> {
        if self.is_taken {
            self.is_taken = false;
            self.frames = FrameList::new();
        }
        loop {
            match self.state {
                State::Failed(error) => return Err(error.kind),
                State::Greeting(greeting) => {
                    let Some(byte) = self.next(input) else { return Ok(None) };
                    self.greeting_byte(greeting, byte)?;
                }
                State::Head { head, len } => {
                    let Some(byte) = self.next(input) else { return Ok(None) };
                    self.head_byte(head, len, byte)?;
                }
                State::Body { header, left, keep } => {
                    // A PING is answered, so its last byte waits until there is room.
                    let room = self.out.capacity().saturating_sub(self.out.len());
                    if header.is_command() && left > 0 && room < MAX_PONG_LEN {
                        return Ok(None);
                    }
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                    let (bytes, rest) = input.split_at_checked(count).unwrap_or((input, &[]));
                    let place = self.frames.len().saturating_add(self.body_len);
                    let place = self.buffer.as_mut().get_mut(place..);
                    if keep && let Some(place) = place.and_then(|p| p.get_mut(..bytes.len())) {
                        place.copy_from_slice(bytes);
                        self.body_len = self.body_len.saturating_add(bytes.len());
                    }
                    *input = rest;
                    let count = u64::try_from(count).unwrap_or(u64::MAX);
                    self.offset = self.offset.saturating_add(count);
                    let left = left.saturating_sub(count);
                    self.state = State::Body { header, left, keep };
                    if left > 0 {
                        return Ok(None);
                    }
                    self.state = HEAD;
                    if let Some(taken) = self.frame(header, keep)? {
                        return Ok(Some(taken));
                    }
                }
            }
        }
    }

    fn next(&mut self, input: &mut &[u8]) -> Option<u8> {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        self.offset = self.offset.saturating_add(1);
        Some(*byte)
    }

    fn greeting_byte(&mut self, mut greeting: Greeting, byte: u8) -> Result<(), ZmtpErrorKind> {
        let minor = greeting.receive(byte)?;
        self.state = State::Greeting(greeting);
        if let Some(minor) = minor {
            self.minor = minor;
            self.state = HEAD;
            let socket_type = self.role.socket_type();
            write_ready(&[("Socket-Type", socket_type)], |part| append(&mut self.out, part));
        }
        Ok(())
    }

    fn head_byte(&mut self, mut head: [u8; 9], len: usize, byte: u8) -> Result<(), ZmtpErrorKind> {
        if let Some(place) = head.get_mut(len) {
            *place = byte;
        }
        let len = len.saturating_add(1);
        self.state = State::Head { head, len };
        let header = FrameHeader::decode(head.get(..len).unwrap_or(&head))?;
        let [flags, ..] = head;
        // Before the length is complete: a peer that speaks another protocol may never send it.
        if !self.is_ready && !FrameHeader::starts_command(flags) {
            return Err(ZmtpErrorKind::Handshake);
        }
        match header {
            Some((header, _)) => self.begin_body(header),
            None => Ok(()),
        }
    }

    /// Starts the body of a frame; checks whether the buffer can hold it.
    fn begin_body(&mut self, header: FrameHeader) -> Result<(), ZmtpErrorKind> {
        let left = header.len();
        let capacity = self.buffer.as_ref().len();
        let is_message = !header.is_command();
        let before = self.frames.used().saturating_add(PREFIX_LEN);
        let needed = u64::try_from(before).unwrap_or(u64::MAX).saturating_add(left);
        let mut keep = usize::try_from(needed).is_ok_and(|needed| needed <= capacity)
            && u32::try_from(needed).is_ok();
        if !keep && !self.is_ready {
            return Err(ZmtpErrorKind::HandshakeLength { len: left, capacity });
        }
        // A frame that does not fit loses the message; the length of its other frames still counts.
        if is_message && (self.needed > 0 || !keep) {
            let used = u64::try_from(self.frames.used()).unwrap_or(u64::MAX);
            self.needed = self.needed.max(used);
            let frame = left.saturating_add(4);
            self.needed = self.needed.saturating_add(frame);
            keep = false;
        }
        self.body_len = 0;
        self.state = State::Body { header, left, keep };
        Ok(())
    }

    /// Processes a complete frame, which is in the buffer unless it was too long.
    fn frame(&mut self, header: FrameHeader, keep: bool) -> Result<Option<Taken>, ZmtpErrorKind> {
        let start = self.frames.len();
        let end = start.saturating_add(self.body_len);
        if header.is_command() {
            // A command that does not fit is irrelevant: the buffer holds every subscription that
            // can match.
            let body = self.buffer.as_ref().get(start..end).filter(|_| keep);
            let Some(body) = body else { return Ok(None) };
            let command = Command::decode(body)?;
            if !self.is_ready {
                return match command {
                    Command::Ready(ready) if self.role.accepts_peer(ready.socket_type()) => {
                        self.is_ready = true;
                        Ok(Some(Taken::Ready))
                    }
                    Command::Ready(_) => Err(ZmtpErrorKind::SocketType),
                    Command::Error => Err(ZmtpErrorKind::Refused),
                    _ => Err(ZmtpErrorKind::Handshake),
                };
            }
            return match command {
                Command::Ready(_) => Err(ZmtpErrorKind::Handshake),
                Command::Error => Err(ZmtpErrorKind::Refused),
                Command::Ping { context } => {
                    append(&mut self.out, &pong_head(context.len()));
                    append(&mut self.out, context);
                    Ok(None)
                }
                command => Ok(subscription(self.role, &mut self.subscriptions, command)),
            };
        }
        if matches!(self.role, Role::Pub { .. }) {
            let body = self.buffer.as_ref().get(start..end).filter(|_| keep).unwrap_or_default();
            self.needed = 0;
            let command = Command::decode_message(body);
            return Ok(subscription(self.role, &mut self.subscriptions, command));
        }
        if keep {
            self.frames.push(self.buffer.as_mut(), self.body_len);
        }
        if header.has_more() {
            return Ok(None);
        }
        self.is_taken = true;
        match core::mem::take(&mut self.needed) {
            0 if self.message().is_none() => Err(ZmtpErrorKind::Delimiter),
            0 => Ok(Some(Taken::Message)),
            needed => Ok(Some(Taken::TooLong(needed))),
        }
    }
}

/// Counts a subscription to the topic, or its cancellation.
fn subscription(role: Role<'_>, count: &mut u32, command: Command<'_>) -> Option<Taken> {
    let Role::Pub { topic } = role else { return None };
    match command {
        Command::Subscribe(prefix) if topic.as_bytes().starts_with(prefix) => {
            *count = count.saturating_add(1);
            Some(Taken::Subscribed)
        }
        Command::Cancel(prefix) if topic.as_bytes().starts_with(prefix) && *count > 0 => {
            *count = count.saturating_sub(1);
            Some(Taken::Cancelled)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
