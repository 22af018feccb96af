//! The handshake and the commands of a peer: bytes in, events out.
//!
//! Publishers process everything that a peer sends this way. A subscriber's connection does so until the
//! handshake is complete; then a [`Reader`](super::reader::Reader) continues.

use super::report;
use super::sharing::{MEMORY_PROPERTY, Sharing};
use crate::wire::zmtp::{Command, FrameHeader, Greeting, Properties, ZmtpErrorKind};

/// Bytes of the longest command before the handshake is complete.
const MAX_HANDSHAKE_LEN: u64 = 4096;
/// The property of READY with the length of a subscriber's queue, in decimal digits.
pub(super) const QUEUE_PROPERTY: &str = "X-Cortex-Queue";
/// The property of READY with the name of a subscriber's node.
pub(super) const NODE_PROPERTY: &str = "X-Cortex-Node";
/// Bytes of the longest such name; a longer one is ignored.
const MAX_NODE_LEN: usize = 255;

/// What a peer tells of itself in READY.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Introduced {
    /// The length of its queue.
    pub(super) queue: Option<u32>,
    /// The name of its node.
    pub(super) node: Option<String>,
    /// Whether it answers a request for a report.
    pub(super) reports: bool,
    /// Whether it knows the commands of [`sharing`](super::sharing).
    pub(super) shares: bool,
}

impl Introduced {
    fn new(ready: &Properties<'_>) -> Self {
        let text = |name: &str| std::str::from_utf8(ready.get(name.as_bytes())?).ok();
        let node =
            text(NODE_PROPERTY).filter(|node| !node.is_empty() && node.len() <= MAX_NODE_LEN);
        Self {
            queue: text(QUEUE_PROPERTY).and_then(|text| text.parse().ok()),
            node: node.map(str::to_owned),
            reports: ready.get(report::REPORT_PROPERTY.as_bytes()).is_some(),
            shares: ready.get(MEMORY_PROPERTY.as_bytes()).is_some(),
        }
    }
}

/// An event of a peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The greeting is complete: send READY. The minor version of the peer's ZMTP.
    Greeted(u8),
    /// The handshake is complete.
    Ready(Introduced),
    /// A subscription to this prefix.
    Subscribe(Vec<u8>),
    /// The end of such a subscription.
    Cancel(Vec<u8>),
    /// A PING with this context: send PONG.
    Ping(Vec<u8>),
    /// A request for a report, or the data of one.
    Report(Vec<u8>),
    /// The end of a lease.
    Return(u32),
}

/// What a peer sent so far.
#[derive(Debug)]
pub(super) struct Inbound {
    accepts: &'static [&'static [u8]],
    max_len: u64,
    greeting: Option<Greeting>,
    is_ready: bool,
    /// Bytes of a frame that is not complete.
    buffer: Vec<u8>,
}

impl Inbound {
    /// A peer whose socket type must be one of `accepts` and whose frames have at most `max_len` bytes.
    pub(super) fn new(accepts: &'static [&'static [u8]], max_len: u64) -> Self {
        Self {
            accepts,
            max_len,
            greeting: Some(Greeting::new()),
            is_ready: false,
            buffer: Vec::new(),
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Consumes bytes from the start of `input` until an event; `None` when `input` is empty.
    ///
    /// # Errors
    /// When the peer violates the protocol or a limit; the connection is to be closed.
    pub(super) fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Event>, ZmtpErrorKind> {
        while let Some(greeting) = &mut self.greeting {
            let Some((byte, rest)) = input.split_first() else { return Ok(None) };
            *input = rest;
            if let Some(minor) = greeting.receive(*byte)? {
                self.greeting = None;
                return Ok(Some(Event::Greeted(minor)));
            }
        }
        loop {
            let Some(header) = self.complete_frame(input)? else { return Ok(None) };
            let (header, start) = header;
            let event = self.frame(header, start);
            self.buffer.clear();
            if let Some(event) = event? {
                return Ok(Some(event));
            }
        }
    }

    /// Collects the bytes of one frame in the buffer; returns its header and where its body starts.
    fn complete_frame(
        &mut self,
        input: &mut &[u8],
    ) -> Result<Option<(FrameHeader, usize)>, ZmtpErrorKind> {
        loop {
            let decoded = FrameHeader::decode(&self.buffer)?;
            let missing = match decoded {
                // A header ends with its second or its ninth byte.
                None => 1,
                Some((header, start)) => {
                    let limit = if self.is_ready { self.max_len } else { MAX_HANDSHAKE_LEN };
                    if header.len() > limit {
                        return Err(ZmtpErrorKind::HandshakeLength {
                            len: header.len(),
                            capacity: usize::try_from(limit).unwrap_or(usize::MAX),
                        });
                    }
                    let end = start.saturating_add(usize::try_from(header.len()).unwrap_or(0));
                    match end.saturating_sub(self.buffer.len()) {
                        0 => return Ok(Some((header, start))),
                        missing => missing,
                    }
                }
            };
            if input.is_empty() {
                return Ok(None);
            }
            let (bytes, rest) = input.split_at(missing.min(input.len()));
            self.buffer.extend_from_slice(bytes);
            *input = rest;
        }
    }

    fn frame(&mut self, header: FrameHeader, start: usize) -> Result<Option<Event>, ZmtpErrorKind> {
        let body = self.buffer.get(start..).unwrap_or_default();
        if !header.is_command() {
            if !self.is_ready {
                return Err(ZmtpErrorKind::Handshake);
            }
            // ZMTP 3.0 subscribes by messages; others have no meaning here.
            return Ok(subscription(Command::decode_message(body)));
        }
        match (Command::decode(body)?, self.is_ready) {
            (Command::Ready(ready), false) => {
                if !self.accepts.contains(&ready.socket_type()) {
                    return Err(ZmtpErrorKind::SocketType);
                }
                self.is_ready = true;
                Ok(Some(Event::Ready(Introduced::new(&ready))))
            }
            (Command::Ready(_), true) | (_, false) => Err(ZmtpErrorKind::Handshake),
            (Command::Error, true) => Err(ZmtpErrorKind::Refused),
            (Command::Ping { context }, true) => Ok(Some(Event::Ping(context.to_vec()))),
            (Command::Other, true) => Ok(match Sharing::decode(body) {
                Some(Sharing::Return { lease }) => Some(Event::Return(lease)),
                _ => body.strip_prefix(report::COMMAND).map(|data| Event::Report(data.to_vec())),
            }),
            (command, true) => Ok(subscription(command)),
        }
    }
}

fn subscription(command: Command<'_>) -> Option<Event> {
    match command {
        Command::Subscribe(prefix) => Some(Event::Subscribe(prefix.to_vec())),
        Command::Cancel(prefix) => Some(Event::Cancel(prefix.to_vec())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::zmtp::{subscription_head, write_ready};

    const SUBSCRIBERS: &[&[u8]] = &[b"SUB", b"XSUB"];

    fn session() -> Vec<u8> {
        let mut bytes = Greeting::BYTES.to_vec();
        let properties =
            [("Socket-Type", &b"SUB"[..]), (QUEUE_PROPERTY, b"7"), (NODE_PROPERTY, b"viewer")];
        write_ready(&properties, |part| bytes.extend_from_slice(part));
        bytes.extend_from_slice(&subscription_head(1, 2, true));
        bytes.extend_from_slice(b"/t");
        bytes.extend_from_slice(b"\x00\x03\x01/m");
        bytes.extend_from_slice(b"\x04\x09\x04PING\0\x01ab");
        bytes.extend_from_slice(&subscription_head(1, 2, false));
        bytes.extend_from_slice(b"/t");
        bytes.extend_from_slice(&report::request());
        // A command that is not known.
        bytes.extend_from_slice(b"\x04\x05\x04OTHE");
        bytes
    }

    fn events(bytes: &[u8], step: usize) -> Result<Vec<Event>, ZmtpErrorKind> {
        let mut inbound = Inbound::new(SUBSCRIBERS, 100);
        let mut events = Vec::new();
        for mut chunk in bytes.chunks(step) {
            while let Some(event) = inbound.receive(&mut chunk)? {
                events.push(event);
            }
        }
        Ok(events)
    }

    #[test]
    fn a_session_gives_the_same_events_in_pieces_of_any_size() {
        let node = Some("viewer".to_owned());
        let introduced = Introduced { queue: Some(7), node, reports: false, shares: false };
        let expected = vec![
            Event::Greeted(1),
            Event::Ready(introduced),
            Event::Subscribe(b"/t".to_vec()),
            Event::Subscribe(b"/m".to_vec()),
            Event::Ping(b"ab".to_vec()),
            Event::Cancel(b"/t".to_vec()),
            Event::Report(Vec::new()),
        ];
        for step in 1..=session().len() {
            assert_eq!(events(&session(), step).as_ref(), Ok(&expected), "step {step}");
        }
    }

    #[test]
    fn rejects_what_the_protocol_does_not_allow() {
        let session = session();
        let ready = &session[Greeting::LEN..session.len()];
        let with = |rest: &[u8]| [&session[..], rest].concat();
        for (bytes, kind) in [
            (b"GET / HTTP/1.1\r\n".to_vec(), ZmtpErrorKind::Signature),
            (with(ready), ZmtpErrorKind::Handshake),
            (with(b"\x09"), ZmtpErrorKind::Flags { found: 9 }),
            (with(b"\x04\x06\x05ERROR"), ZmtpErrorKind::Refused),
        ] {
            assert_eq!(events(&bytes, 5), Err(kind));
        }
        let claimed = with(b"\x02\x80\0\0\0\0\0\0\0");
        let expected = ZmtpErrorKind::HandshakeLength { len: 1 << 63, capacity: 100 };
        assert_eq!(events(&claimed, 64), Err(expected), "a length of 2^63");
        let mut early = Greeting::BYTES.to_vec();
        early.extend_from_slice(b"\x00\x03\x01/t");
        assert_eq!(events(&early, 64), Err(ZmtpErrorKind::Handshake));
    }
}
