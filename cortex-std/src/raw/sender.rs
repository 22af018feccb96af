//! Sending one message to the subscribers that have room for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::PublishError;
use crate::stats::PublisherCounters;
use crate::transport::{
    Frame, Interrupt, Part, PublisherSocket, Sent, TrySent, WaitResult, share_parts,
};

/// How a sender waits for a full queue.
pub(super) struct Room {
    pub(super) block: Duration,
    /// Ends a wait when the node shuts down.
    pub(super) stop: Interrupt,
    /// Whether a thread waits while it holds the state's lock.
    pub(super) is_awaited: AtomicBool,
}

/// The number and the time of a message.
pub(crate) struct Slot {
    pub(crate) sequence: u64,
    /// Nanoseconds since the Unix epoch, by the wall clock.
    pub(crate) timestamp_ns: u64,
}

/// Sends the parts of one message, while the outlet is locked.
pub(crate) struct Sender<'o> {
    pub(super) socket: &'o mut (dyn PublisherSocket + 'static),
    pub(super) counters: &'o PublisherCounters,
    pub(super) room: &'o Room,
    /// Where a latched publisher keeps its message, and where the previous one goes.
    pub(super) kept: Option<(&'o mut Vec<Frame>, &'o mut Vec<Frame>)>,
}

impl Sender<'_> {
    /// Sends a message; where a queue is full, after waiting as long as the options allow.
    ///
    /// # Errors
    ///
    /// `Socket`.
    pub(crate) fn send(self, parts: &mut [Part<'_>]) -> Result<Sent, PublishError> {
        let block = self.room.block;
        self.send_within(parts, block)
    }

    /// The same, waiting at most for `block`.
    ///
    /// # Errors
    ///
    /// `Socket`.
    pub(crate) fn send_within(
        mut self,
        parts: &mut [Part<'_>],
        block: Duration,
    ) -> Result<Sent, PublishError> {
        let len: usize = parts.iter().map(Part::len).sum();
        if let Some((kept, released)) = self.kept.take() {
            *released = std::mem::replace(kept, share_parts(parts)?);
        }
        let sent = deliver(self.socket, parts, self.room, block)?;
        self.counters.sent_bytes.add_alone(len as u64);
        Ok(sent)
    }
}

/// Sends to all subscribers as soon as all have room; after the time to block, to those that have.
pub(super) fn deliver(
    socket: &mut dyn PublisherSocket,
    parts: &mut [Part<'_>],
    room: &Room,
    block: Duration,
) -> Result<Sent, PublishError> {
    if !block.is_zero() {
        // The clock is read only once there is no room.
        let mut deadline = None;
        loop {
            match socket.try_send(parts)? {
                TrySent::Delivered => return Ok(Sent::Delivered),
                TrySent::Skipped => return Ok(Sent::Congested),
                TrySent::WouldBlock => {}
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now().checked_add(block));
            room.is_awaited.store(true, Ordering::SeqCst);
            let wait = socket.wait_for_room(deadline, Some(&room.stop));
            room.is_awaited.store(false, Ordering::SeqCst);
            // When the node shuts down, the other subscribers still get the message.
            if wait? != WaitResult::Ready {
                break;
            }
        }
    }
    Ok(socket.send(parts)?)
}
