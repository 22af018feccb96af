//! A client of a reply socket: the handshake, its request and what waits for it.

use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::io::Errno;

use crate::wire::zmtp::{Command, FrameHeader, Greeting, ZmtpErrorKind, pong_head, write_ready};

/// Frames of an envelope and of a request, and bytes that wait for one client.
const MAX_FRAMES: usize = 64;
const MAX_OUTPUT: usize = 32 << 20;

/// A connection of a client, with one request at a time.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: OwnedFd,
    greeting: Option<Greeting>,
    is_ready: bool,
    input: Vec<u8>,
    pub(super) output: Vec<u8>,
    /// Frames before the empty one, which the reply repeats.
    envelope: Vec<Vec<u8>>,
    has_envelope: bool,
    /// Frames of the request.
    pub(super) parts: Vec<Vec<u8>>,
    pub(super) is_complete: bool,
    pub(super) last: Instant,
}

impl Client {
    /// A client whose connection was accepted.
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            greeting: Some(Greeting::new()),
            is_ready: false,
            input: Vec::new(),
            output: Greeting::BYTES.to_vec(),
            envelope: Vec::new(),
            has_envelope: false,
            parts: Vec::new(),
            is_complete: false,
            last: Instant::now(),
        }
    }

    /// Queues the reply to the request; the next one may follow.
    pub(super) fn reply(&mut self, body: &[u8]) {
        for frame in std::mem::take(&mut self.envelope) {
            self.push_frame(&frame, false);
        }
        self.push_frame(b"", false);
        self.push_frame(body, true);
        self.has_envelope = false;
        self.is_complete = false;
    }

    /// Reads what is there; false once the client disconnected.
    pub(super) fn read(&mut self, max_len: usize) -> bool {
        let mut bytes = [0; 16 * 1024];
        // A longer request is read with the next events.
        while self.input.len() <= max_len {
            match rustix::io::read(&self.socket, &mut bytes) {
                Ok(0) => return false,
                Ok(count) => self.input.extend_from_slice(bytes.get(..count).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return false,
            }
        }
        true
    }

    /// Sends what the connection takes; false once the client disconnected.
    pub(super) fn write(&mut self) -> bool {
        while !self.output.is_empty() {
            let sent = rustix::net::send(
                &self.socket,
                &self.output,
                rustix::net::SendFlags::NOSIGNAL | rustix::net::SendFlags::DONTWAIT,
            );
            match sent {
                Ok(count) => {
                    self.output.drain(..count.min(self.output.len()));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return self.output.len() <= MAX_OUTPUT,
                Err(_) => return false,
            }
        }
        true
    }

    /// Consumes the input up to the end of a request.
    pub(super) fn process(&mut self, max_len: usize) -> Result<(), ZmtpErrorKind> {
        let mut start = 0;
        let input = std::mem::take(&mut self.input);
        let result = self.consume(&input, &mut start, max_len);
        self.input = input;
        self.input.drain(..start);
        result
    }

    fn consume(
        &mut self,
        input: &[u8],
        start: &mut usize,
        max_len: usize,
    ) -> Result<(), ZmtpErrorKind> {
        while let Some(greeting) = &mut self.greeting {
            let Some(byte) = input.get(*start) else { return Ok(()) };
            *start += 1;
            if greeting.receive(*byte)?.is_some() {
                self.greeting = None;
                let output = &mut self.output;
                write_ready(&[("Socket-Type", b"REP")], |part| output.extend_from_slice(part));
            }
        }
        while !self.is_complete {
            let rest = input.get(*start..).unwrap_or_default();
            let Some((header, head)) = FrameHeader::decode(rest)? else { return Ok(()) };
            let held: usize = self.parts.iter().chain(&self.envelope).map(Vec::len).sum();
            let len = usize::try_from(header.len()).unwrap_or(usize::MAX);
            if len > max_len.saturating_sub(held) {
                let kind = ZmtpErrorKind::HandshakeLength { len: header.len(), capacity: max_len };
                return Err(kind);
            }
            let Some(body) = rest.get(head..head.saturating_add(len)) else { return Ok(()) };
            *start += head + len;
            if header.is_command() { self.command(body)? } else { self.frame(body, header)? }
        }
        Ok(())
    }

    fn command(&mut self, body: &[u8]) -> Result<(), ZmtpErrorKind> {
        match (Command::decode(body)?, self.is_ready) {
            (Command::Ready(ready), false) => {
                self.is_ready = [&b"REQ"[..], b"DEALER"].contains(&ready.socket_type());
                if self.is_ready { Ok(()) } else { Err(ZmtpErrorKind::SocketType) }
            }
            (Command::Ready(_), true) | (_, false) => Err(ZmtpErrorKind::Handshake),
            (Command::Error, true) => Err(ZmtpErrorKind::Refused),
            (Command::Ping { context }, true) => {
                self.output.extend_from_slice(&pong_head(context.len()));
                self.output.extend_from_slice(context);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn frame(&mut self, body: &[u8], header: FrameHeader) -> Result<(), ZmtpErrorKind> {
        if !self.is_ready || self.parts.len() + self.envelope.len() >= MAX_FRAMES {
            return Err(ZmtpErrorKind::Handshake);
        }
        match (self.has_envelope, body.is_empty()) {
            (true, _) => self.parts.push(body.to_vec()),
            (false, true) => self.has_envelope = true,
            (false, false) => self.envelope.push(body.to_vec()),
        }
        if !header.has_more() {
            self.is_complete = !self.parts.is_empty();
            self.last = Instant::now();
            if !self.is_complete {
                // Not a request.
                self.envelope.clear();
                self.has_envelope = false;
            }
        }
        Ok(())
    }

    fn push_frame(&mut self, body: &[u8], is_last: bool) {
        let len = u64::try_from(body.len()).unwrap_or(u64::MAX);
        self.output.extend_from_slice(&FrameHeader::message(len, is_last).encode());
        self.output.extend_from_slice(body);
    }
}
