//! What a publisher lends to one subscriber in shared memory.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use rustix::io::Errno;

use super::encoder::Encoder;
use super::sharing::{CommandFrame, Lend, Sharing};
use super::stream::Stream;
use crate::stats::PeerStats;
use crate::transport::shared::SharedBlock;
use crate::transport::socket::Part;
use crate::transport::zmq::frame::Frame;

/// Arrays from this length on are lent; those in private memory are copied into shared memory first. From
/// here on that takes less time than the socket does, with one subscriber and with several.
pub(super) const LENT_LEN: usize = 64 * 1024;
/// The first part that is lent: topic, header and metadata are not.
pub(super) const FIRST_PART: usize = 3;
/// The most parts of one message that are lent. A subscriber that holds a few messages has room for one more.
pub(super) const MAX_LENT: usize = 16;
/// The most parts that one subscriber holds.
const MAX_HELD: usize = 64;
/// The most buffers that one subscriber knows, below the limit of subscribers.
const MAX_KNOWN: usize = 512;
/// The most bytes that one subscriber holds, beyond two messages. Then messages go through its socket.
const MAX_HELD_BYTES: usize = 64 << 20;
/// The same where the publisher waits for room: fewer buffers, which stay in the processor's caches.
const WAITING_BYTES: usize = 24 << 20;

/// A part of a message that lies in shared memory.
pub(super) struct Lent {
    /// Its index.
    pub(super) part: usize,
    pub(super) block: Arc<SharedBlock>,
    pub(super) offset: usize,
    pub(super) len: usize,
    /// Names it at every subscriber.
    pub(super) lease: u32,
}

impl Lent {
    fn command(&self) -> Sharing {
        Sharing::Lend(Lend {
            part: u32::try_from(self.part).unwrap_or(u32::MAX),
            lease: self.lease,
            id: self.block.id(),
            offset: self.offset as u64,
            len: self.len as u64,
        })
    }
}

/// Encodes a message whose lent parts are named before it and empty in it.
pub(super) fn encode(lent: &[Lent], parts: &[Part<'_>], encoder: &mut Encoder) {
    encoder.clear();
    for one in lent {
        encoder.append_command(&one.command().encode());
    }
    let is_lent = |index| lent.iter().any(|one| one.part == index);
    let bytes = parts.iter().enumerate().map(|(index, part)| match is_lent(index) {
        true => &[],
        false => part.as_slice(),
    });
    encoder.append_slices(parts.len(), bytes);
}

/// Whether a descriptor is not passed for now only: the socket is full, or too many descriptors are in flight.
pub(super) fn is_passing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::WOULDBLOCK | Errno::TOOMANYREFS | Errno::NOBUFS | Errno::NOMEM | Errno::MFILE
    )
}

/// A part that is not returned.
#[derive(Debug)]
struct Held {
    frame: Frame,
    since: Instant,
}

/// The buffers that one subscriber knows, and the parts that it has not returned.
#[derive(Debug, Default)]
pub(super) struct Lending {
    known: Vec<(u32, Weak<SharedBlock>)>,
    held: HashMap<u32, Held>,
    held_bytes: usize,
    /// All parts that were lent.
    lent: u64,
    /// Whether a publisher waits until the subscriber returns something.
    pub(super) is_awaited: bool,
}

impl Lending {
    /// Whether the subscriber may hold the parts of one more message.
    pub(super) fn has_room(&self, lent: &[Lent], waits: bool) -> bool {
        let bytes: usize = lent.iter().map(|one| one.len).sum();
        let limit = if waits { WAITING_BYTES } else { MAX_HELD_BYTES };
        self.held.len().saturating_add(lent.len()) <= MAX_HELD
            && (self.held.len() < 2 || self.held_bytes.saturating_add(bytes) <= limit)
    }

    /// Parts that are not returned, and their bytes.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.held.len(), self.held_bytes)
    }

    /// The buffers that the subscriber must be told to forget.
    pub(super) fn forget_dropped(&mut self) -> Vec<u8> {
        let mut commands = Vec::new();
        self.known.retain(|(id, block)| {
            let exists = block.strong_count() > 0;
            if !exists {
                commands.extend(Sharing::Buffer { id: *id, len: 0 }.encode());
            }
            exists
        });
        commands
    }

    pub(super) fn knows(&self, block: &SharedBlock) -> bool {
        self.known.iter().any(|(id, _)| *id == block.id())
    }

    /// Passes a buffer; returns the bytes of the command that are not written.
    ///
    /// # Errors
    /// Those of [`is_passing`]: nothing is written; any other: the connection is lost.
    pub(super) fn introduce(
        &mut self,
        block: &Arc<SharedBlock>,
        stream: &Stream,
    ) -> Result<CommandFrame, Errno> {
        if self.known.len() >= MAX_KNOWN {
            return Err(Errno::WOULDBLOCK);
        }
        let mut command = Sharing::Buffer { id: block.id(), len: block.len() as u64 }.encode();
        let written = loop {
            match stream.send_with_descriptor(&command, block.fd()) {
                Err(Errno::INTR) => {}
                sent => break sent?,
            }
        };
        self.known.push((block.id(), Arc::downgrade(block)));
        command.drain(..written.min(command.len()));
        Ok(command)
    }

    /// The subscriber holds a part, which must not change before it is returned.
    pub(super) fn hold(&mut self, lease: u32, frame: Frame) {
        self.held_bytes = self.held_bytes.saturating_add(frame.as_slice().len());
        self.lent = self.lent.saturating_add(1);
        self.held.insert(lease, Held { frame, since: Instant::now() });
    }

    /// Adds its counters to those of its subscriber.
    pub(super) fn add_stats(&self, stats: &mut PeerStats) {
        let oldest = self.held.values().map(|held| held.since).min();
        stats.lent = Some(self.lent);
        stats.held = Some(self.held.len());
        stats.held_bytes = Some(self.held_bytes as u64);
        stats.held_for = oldest.map(|since| since.elapsed());
    }

    /// The subscriber returned a part; one that it does not hold is ignored.
    pub(super) fn release(&mut self, lease: u32) {
        if let Some(Held { frame, .. }) = self.held.remove(&lease) {
            self.held_bytes = self.held_bytes.saturating_sub(frame.as_slice().len());
            self.is_awaited = false;
        }
    }
}

impl Drop for Lending {
    /// The connection ends, but a sample of the subscriber may use what it has not returned.
    fn drop(&mut self) {
        for Held { frame, .. } in self.held.values() {
            if let Some((block, _)) = SharedBlock::find(frame.as_slice()) {
                block.retire();
            }
        }
    }
}
