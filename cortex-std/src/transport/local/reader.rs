//! The messages of one connection: bytes in, messages out, with one copy by the kernel.
//!
//! Small messages are slices of a read buffer, many from one read. The body of a large frame is received
//! straight into aligned memory of a pool.

use bytes::BytesMut;
use smallvec::SmallVec;

use super::leases::{Lease, LeaseError};
use super::message::{LocalMessage, LocalParts};
use super::sharing::Sharing;
use crate::transport::error::SocketError;
use crate::transport::loan::{Loan, LoanPool};
use crate::wire::zmtp::{Command, FrameHeader, ZmtpErrorKind};

/// Bytes of the first read buffer of a connection.
const MIN_BUFFER: usize = 8 * 1024;
/// Bytes of the read buffer of a busy connection.
const MAX_BUFFER: usize = 256 * 1024;
/// A buffer with less space than this is replaced.
const MIN_SPACE: usize = 2 * 1024;
/// Bodies from this length on that are not received wholly get memory of their own.
const LARGE_LEN: u64 = 64 * 1024;
/// After a large message a read stops short of the next body, which then needs no copy.
const HEAD_READ: usize = 512;
/// Memory for a large body grows from here on, since its length is only a claim.
const FIRST_BODY: usize = 16 << 20;
/// Alignment of bodies of more than 255 bytes, whose header is longer: they borrow as slices of any number.
const ALIGNMENT: usize = 8;
/// The most parts of one message.
const MAX_PARTS: usize = 65_536;
/// The most parts of one message that a publisher lends.
const MAX_LENT: usize = 64;
/// The most bytes of one message beside its large parts.
const MAX_HEAD: usize = 1 << 30;
/// Bytes of the longest command after the handshake.
const MAX_COMMAND_LEN: u64 = 64 * 1024;

/// Something complete that a peer sent.
#[derive(Debug)]
pub(super) enum Item {
    /// Take it with [`Reader::take_message`].
    Message,
    /// A PING with this context: send PONG.
    Ping(Vec<u8>),
    /// A command about shared memory.
    Sharing(Sharing),
}

/// Why a connection cannot be read any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("the publisher violates ZMTP: {0}")]
    Protocol(ZmtpErrorKind),
    #[error("a part has {len} bytes, the limit is {limit}")]
    PartLength { len: u64, limit: u64 },
    #[error("a message has more than {MAX_PARTS} parts or a gibibyte of small ones")]
    Message,
    #[error(transparent)]
    Memory(#[from] SocketError),
    #[error("the publisher's shared memory cannot be used: {0}")]
    Lease(#[from] LeaseError),
    #[error("the publisher lends a part that its message does not have")]
    NoPart,
}

impl From<ZmtpErrorKind> for ReadError {
    fn from(kind: ZmtpErrorKind) -> Self {
        Self::Protocol(kind)
    }
}

/// A large body that is not complete.
#[derive(Debug)]
struct Body {
    memory: Loan,
    filled: usize,
    len: usize,
    is_last: bool,
}

/// Receives the messages of one connection.
#[derive(Debug)]
pub(super) struct Reader {
    /// Initialised memory, of which the first `filled` bytes are received.
    buffer: BytesMut,
    filled: usize,
    /// The start of the next frame.
    position: usize,
    /// The parts of the message that is not complete.
    parts: LocalParts,
    body: Option<Body>,
    /// Parts of the next message that lie in the publisher's memory, by their index.
    lent: SmallVec<[(u32, Lease); 1]>,
    pool: LoanPool,
    max_part_len: u64,
    /// Whether the last message had a large body.
    was_large: bool,
    /// Bytes of the next read buffer: grows with reads that fill the current one, and shrinks again.
    next_len: usize,
    /// The longest read, so that a subscriber with a short queue leaves messages in the kernel.
    max_read: usize,
}

impl Reader {
    /// A reader that continues after the handshake; `received` are the bytes behind it.
    pub(super) fn new(received: &[u8], max_part_len: u64, pool: LoanPool) -> Self {
        let mut buffer = BytesMut::zeroed(MIN_BUFFER.max(received.len().saturating_mul(2)));
        if let Some(start) = buffer.get_mut(..received.len()) {
            start.copy_from_slice(received);
        }
        Self {
            buffer,
            filled: received.len(),
            position: 0,
            parts: LocalParts::default(),
            body: None,
            lent: SmallVec::new(),
            pool,
            max_part_len,
            was_large: false,
            next_len: MIN_BUFFER,
            max_read: usize::MAX,
        }
    }

    /// The next complete message or command in the received bytes; `None`: read more.
    ///
    /// # Errors
    /// The connection is to be closed.
    pub(super) fn next(&mut self) -> Result<Option<Item>, ReadError> {
        loop {
            if let Some(body) = &self.body {
                if body.filled < body.len {
                    return Ok(None);
                }
                let Some(body) = self.body.take() else { return Ok(None) };
                self.was_large = true;
                self.parts.push_received(body.memory);
                if body.is_last {
                    return self.complete();
                }
                continue;
            }
            let received = self.buffer.get(self.position..self.filled).unwrap_or_default();
            let Some((header, header_len)) = FrameHeader::decode(received)? else {
                return Ok(None);
            };
            let start = self.position.saturating_add(header_len);
            let available = self.filled.saturating_sub(start);
            if header.is_command() {
                if header.len() > MAX_COMMAND_LEN {
                    return Err(self.too_long(header, MAX_COMMAND_LEN));
                }
            } else if header.len() > self.max_part_len {
                return Err(self.too_long(header, self.max_part_len));
            } else if self.parts.len() >= MAX_PARTS || start > MAX_HEAD {
                return Err(ReadError::Message);
            }
            let is_complete = header.len() <= available as u64;
            if !is_complete && (header.is_command() || header.len() < LARGE_LEN) {
                let len = usize::try_from(header.len()).unwrap_or(usize::MAX);
                self.reserve(start.saturating_add(len));
                return Ok(None);
            }
            if !is_complete {
                self.begin_body(header, start)?;
                continue;
            }
            let len = usize::try_from(header.len()).unwrap_or(usize::MAX);
            self.position = start.saturating_add(len);
            if header.is_command() {
                let body = self.buffer.get(start..self.position).unwrap_or_default();
                match Command::decode(body)? {
                    Command::Ping { context } => return Ok(Some(Item::Ping(context.to_vec()))),
                    Command::Ready(_) => return Err(ZmtpErrorKind::Handshake.into()),
                    Command::Error => return Err(ZmtpErrorKind::Refused.into()),
                    Command::Other => match Sharing::decode(body) {
                        Some(command) => return Ok(Some(Item::Sharing(command))),
                        None => continue,
                    },
                    _ => continue,
                }
            }
            let start = if header_len > ALIGNMENT { self.align(start, len) } else { start };
            if len == 0
                && let Some(lease) = self.take_lent()
            {
                self.parts.push_lent(lease);
                if !header.has_more() {
                    return self.complete();
                }
                continue;
            }
            let part = |at: usize| u32::try_from(at).map_err(|_| ReadError::Message);
            self.parts.push_slice(part(start)?, part(len)?);
            if !header.has_more() {
                self.was_large = false;
                return self.complete();
            }
        }
    }

    /// The message has its last part.
    fn complete(&self) -> Result<Option<Item>, ReadError> {
        if self.lent.is_empty() { Ok(Some(Item::Message)) } else { Err(ReadError::NoPart) }
    }

    /// A part of the next message lies in the publisher's memory.
    ///
    /// # Errors
    /// When too many do, or it is too long.
    pub(super) fn lend(&mut self, part: u32, lease: Lease) -> Result<(), ReadError> {
        let (len, limit) = (lease.len() as u64, self.max_part_len);
        if len > limit {
            return Err(ReadError::PartLength { len, limit });
        }
        if self.lent.len() >= MAX_LENT {
            return Err(ReadError::NoPart);
        }
        self.lent.push((part, lease));
        Ok(())
    }

    /// The lease of the part that comes next, if it is lent.
    fn take_lent(&mut self) -> Option<Lease> {
        let next = u32::try_from(self.parts.len()).ok()?;
        let index = self.lent.iter().position(|(part, _)| *part == next)?;
        Some(self.lent.swap_remove(index).1)
    }

    /// Memory for the next read; never empty.
    ///
    /// # Errors
    /// When memory is exhausted.
    pub(super) fn space(&mut self) -> Result<&mut [u8], ReadError> {
        if self.body.is_some() {
            return self.body_space();
        }
        let space = self.buffer.len().saturating_sub(self.filled);
        if space < MIN_SPACE {
            self.replace(self.next_len.max(self.filled.saturating_mul(2)));
            self.next_len = MIN_BUFFER.max(self.next_len / 2);
        }
        let limit = if self.was_large && self.parts.len() == 0 { HEAD_READ } else { self.max_read };
        let space = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let len = space.len().min(limit);
        Ok(space.get_mut(..len).unwrap_or_default())
    }

    /// Memory for the rest of a large body.
    fn body_space(&mut self) -> Result<&mut [u8], ReadError> {
        let Some(body) = &mut self.body else { return Ok(&mut []) };
        if body.filled == body.memory.len() {
            // The peer has sent as much as the memory holds, so the claim is worth doubling it.
            let len = body.memory.len().saturating_mul(2).min(body.len);
            let mut memory = self.pool.take(len)?;
            if let Some(start) = memory.get_mut(..body.filled) {
                start.copy_from_slice(body.memory.get(..body.filled).unwrap_or_default());
            }
            body.memory = memory;
        }
        Ok(body.memory.get_mut(body.filled..).unwrap_or_default())
    }

    /// The first `count` bytes of [`space`](Self::space) are received.
    pub(super) fn received(&mut self, count: usize) {
        match &mut self.body {
            Some(body) => body.filled = body.filled.saturating_add(count).min(body.memory.len()),
            None => {
                self.filled = self.filled.saturating_add(count).min(self.buffer.len());
                if self.filled == self.buffer.len() {
                    self.next_len = MAX_BUFFER.min(self.next_len.saturating_mul(4));
                }
            }
        }
    }

    /// Limits reads to about `messages` messages of the length of the last one; 0 for no limit.
    pub(super) fn limit_reads(&mut self, messages: u32, last_len: usize) {
        self.max_read = match usize::try_from(messages) {
            Ok(0) | Err(_) => usize::MAX,
            Ok(messages) => messages.saturating_mul(last_len).max(HEAD_READ),
        };
    }

    /// Moves a received body over its header to an aligned address; returns where it starts then.
    fn align(&mut self, start: usize, len: usize) -> usize {
        let address = self.buffer.as_ptr().addr().wrapping_add(start);
        let aligned = start.saturating_sub(address % ALIGNMENT);
        if aligned < start {
            self.buffer.copy_within(start..start.saturating_add(len), aligned);
        }
        aligned
    }

    fn too_long(&self, header: FrameHeader, limit: u64) -> ReadError {
        ReadError::PartLength { len: header.len(), limit }
    }

    /// Moves the received bytes of a large body into memory of its own.
    fn begin_body(&mut self, header: FrameHeader, start: usize) -> Result<(), ReadError> {
        let limit = self.max_part_len;
        let len = usize::try_from(header.len()).map_err(|_| self.too_long(header, limit))?;
        let received = self.buffer.get(start..self.filled).unwrap_or_default();
        let mut memory = self.pool.take(len.min(FIRST_BODY.max(received.len())))?;
        let filled = received.len();
        if let Some(place) = memory.get_mut(..filled) {
            place.copy_from_slice(received);
        }
        self.filled = start;
        self.position = start;
        // The read was filled by the body, which asks for no larger buffer.
        self.next_len = MIN_BUFFER;
        self.body = Some(Body { memory, filled, len, is_last: !header.has_more() });
        Ok(())
    }

    /// The message that [`next`](Self::next) has found complete; its bytes leave the buffer.
    #[inline]
    pub(super) fn take_message(&mut self) -> LocalMessage {
        let bytes = self.buffer.split_to(self.position.min(self.buffer.len())).freeze();
        self.filled = self.filled.saturating_sub(bytes.len());
        self.position = 0;
        LocalMessage::new(bytes, std::mem::take(&mut self.parts))
    }

    /// Makes room for a message that ends at `end`.
    fn reserve(&mut self, end: usize) {
        if end > self.buffer.len() {
            self.replace(end.max(self.buffer.len().saturating_mul(2)).max(MIN_BUFFER));
        }
    }

    /// Makes the buffer `len` bytes long, in its old memory if no message uses that any more.
    fn replace(&mut self, len: usize) {
        let len = len.max(self.filled);
        self.buffer.truncate(self.filled);
        if self.buffer.try_reclaim(len.saturating_sub(self.filled)) {
            self.buffer.resize(len, 0);
            return;
        }
        let mut buffer = BytesMut::zeroed(len);
        let received = self.buffer.get(..self.filled).unwrap_or_default();
        if let Some(start) = buffer.get_mut(..received.len()) {
            start.copy_from_slice(received);
        }
        self.buffer = buffer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: &[u8], is_last: bool) -> Vec<u8> {
        [&FrameHeader::message(bytes.len() as u64, is_last).encode(), bytes].concat()
    }

    fn message(parts: &[&[u8]]) -> Vec<u8> {
        let last = parts.len() - 1;
        parts.iter().enumerate().flat_map(|(i, part)| frame(part, i == last)).collect()
    }

    type Messages = Vec<Vec<Vec<u8>>>;

    /// Feeds `bytes` by reads of at most `step` bytes; returns the parts of every message.
    fn read(bytes: &[u8], step: usize) -> Result<(Messages, usize), ReadError> {
        let mut reader = Reader::new(&[], 1 << 40, LoanPool::new(1 << 20));
        let mut rest = bytes;
        let (mut messages, mut pings) = (Vec::new(), 0);
        loop {
            while let Some(item) = reader.next()? {
                match item {
                    Item::Message => {
                        let message = reader.take_message();
                        let parts = (0..message.len()).map(|i| message.part(i).unwrap().to_vec());
                        messages.push(parts.collect());
                    }
                    Item::Sharing(_) => panic!("there is none"),
                    Item::Ping(context) => {
                        assert_eq!(context, b"ab");
                        pings += 1;
                    }
                }
            }
            if rest.is_empty() {
                return Ok((messages, pings));
            }
            let space = reader.space()?;
            assert!(!space.is_empty());
            let count = step.min(space.len()).min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            reader.received(count);
            rest = &rest[count..];
        }
    }

    #[test]
    fn messages_of_any_length_arrive_from_reads_of_any_length() {
        let (small, middle, big) = (vec![1; 200], vec![2; 40_000], vec![3; 300_000]);
        let lists: [&[&[u8]]; 5] = [
            &[b"/t", b"", &small],
            &[b"/t", &big, b"between", &big],
            &[b"x"],
            &[b"/t", &middle, b""],
            &[&big],
        ];
        let mut bytes: Vec<u8> = lists.iter().flat_map(|parts| message(parts)).collect();
        bytes.extend_from_slice(b"\x04\x09\x04PING\0\x01ab");
        bytes.extend(message(lists[0]));
        let expected: Messages = lists
            .iter()
            .chain([&lists[0]])
            .map(|parts| parts.iter().map(|part| part.to_vec()).collect())
            .collect();
        for step in [1, 2, 3, 7, 63, 512, 1000, 65_536, usize::MAX] {
            let (messages, pings) = read(&bytes, step).unwrap();
            assert!(messages == expected, "step {step}");
            assert_eq!(pings, 1);
        }
    }

    #[test]
    fn bodies_of_more_than_255_bytes_are_aligned_to_8() {
        for offset in 0..16 {
            let lists = [256, 300, 5000, 63_000].map(|len| (0..len).map(|i| i as u8).collect());
            let small = vec![9; offset];
            let bodies: Vec<&[u8]> = lists.iter().map(|list: &Vec<u8>| &list[..]).collect();
            let bytes = message(&[&[&small[..]], &bodies[..], &[b"end"]].concat());
            let mut reader = Reader::new(&bytes, 1 << 20, LoanPool::new(0));
            assert!(matches!(reader.next(), Ok(Some(Item::Message))));
            let message = reader.take_message();
            for (index, body) in bodies.iter().enumerate() {
                let part = message.part(index + 1).unwrap();
                assert_eq!(part, *body);
                assert_eq!(part.as_ptr().addr() % ALIGNMENT, 0, "{} bytes", body.len());
            }
            assert_eq!(message.part(bodies.len() + 1), Some(&b"end"[..]));
        }
    }

    #[test]
    fn a_large_body_is_aligned_and_a_claimed_length_allocates_little() {
        let mut reader = Reader::new(&[], u64::MAX, LoanPool::new(0));
        let header = FrameHeader::message(1 << 62, true).encode();
        reader.space().unwrap()[..header.len()].copy_from_slice(&header);
        reader.received(header.len());
        assert!(reader.next().unwrap().is_none());
        let space = reader.space().unwrap();
        assert_eq!(space.len(), FIRST_BODY);
        assert_eq!(space.as_ptr() as usize % 64, 0);
    }

    #[test]
    fn rejects_what_the_protocol_or_a_limit_does_not_allow() {
        let error = |bytes: &[u8], limit: u64| {
            let mut reader = Reader::new(bytes, limit, LoanPool::new(0));
            loop {
                match reader.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("accepted"),
                    Err(error) => return error,
                }
            }
        };
        let long = message(&[b"/t", &[0; 101]]);
        assert!(matches!(error(&long, 100), ReadError::PartLength { len: 101, limit: 100 }));
        assert!(matches!(error(b"\x08", 100), ReadError::Protocol(ZmtpErrorKind::Flags { .. })));
        let many = frame(b"", false).repeat(MAX_PARTS + 1);
        assert!(matches!(error(&many, 100), ReadError::Message));
        let command = FrameHeader::command(MAX_COMMAND_LEN + 1).encode();
        assert!(matches!(error(&command, u64::MAX), ReadError::PartLength { .. }));
    }
}
