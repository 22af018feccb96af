//! The handshake of a subscriber with a publisher: bytes in, bytes out.

use rustix::io::Errno;

use super::backlog::Backlog;
use super::inbound::{Event, Inbound, NODE_PROPERTY, QUEUE_PROPERTY};
use super::stream::Stream;
use crate::wire::zmtp::{Greeting, ZmtpErrorKind, subscription_head, write_ready};

/// The socket types that publish.
pub(super) const PUBLISHERS: &[&[u8]] = &[b"PUB", b"XPUB"];
/// Bytes of one read.
const READ_LEN: usize = 4096;

/// What a subscriber tells of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Introduction<'s> {
    /// The length of its queue, where its user chose one.
    pub(super) window: Option<u32>,
    /// The name of its node.
    pub(super) node: Option<&'s str>,
    pub(super) prefixes: &'s [Vec<u8>],
}

/// Why a handshake failed.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// The connection ended.
    Ended,
    /// The publisher violates the protocol.
    Protocol(ZmtpErrorKind),
}

/// A handshake that is not complete.
#[derive(Debug)]
pub(super) struct Handshake {
    inbound: Inbound,
    /// The minor version of the publisher's ZMTP.
    pub(super) minor: u8,
}

impl Handshake {
    /// Begins a handshake on a new connection: queues the greeting.
    pub(super) fn begin(output: &mut Backlog) -> Self {
        output.push_bytes(&Greeting::BYTES);
        Self { inbound: Inbound::new(PUBLISHERS, 0), minor: 0 }
    }

    /// Reads what the publisher sent and queues the replies. Once the handshake is complete, returns the
    /// bytes that were received behind it, with every subscription queued.
    pub(super) fn advance(
        &mut self,
        stream: &Stream,
        output: &mut Backlog,
        introduction: Introduction<'_>,
    ) -> Result<Option<Vec<u8>>, HandshakeError> {
        let mut bytes = [0_u8; READ_LEN];
        loop {
            let count = match stream.recv(&mut bytes) {
                Ok(0) => return Err(HandshakeError::Ended),
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(_) => return Err(HandshakeError::Ended),
            };
            let mut input = bytes.get(..count).unwrap_or_default();
            while !input.is_empty() {
                match self.inbound.receive(&mut input).map_err(HandshakeError::Protocol)? {
                    Some(Event::Greeted(minor)) => {
                        self.minor = minor;
                        introduction.push_ready(output);
                    }
                    Some(Event::Ready(_)) => {
                        for prefix in introduction.prefixes {
                            push_subscription(output, self.minor, prefix, true);
                        }
                        return Ok(Some(input.to_vec()));
                    }
                    _ => {}
                }
            }
        }
    }
}

impl Introduction<'_> {
    fn push_ready(&self, output: &mut Backlog) {
        let window = self.window.map(|window| window.to_string());
        let mut properties = vec![("Socket-Type", &b"SUB"[..])];
        if let Some(window) = &window {
            properties.push((QUEUE_PROPERTY, window.as_bytes()));
        }
        if let Some(node) = self.node {
            properties.push((NODE_PROPERTY, node.as_bytes()));
        }
        write_ready(&properties, |part| output.push_bytes(part));
    }
}

/// Queues a subscription, or its end.
pub(super) fn push_subscription(output: &mut Backlog, minor: u8, prefix: &[u8], subscribe: bool) {
    output.push_bytes(&subscription_head(minor, prefix.len(), subscribe));
    output.push_bytes(prefix);
}
