//! The subscribers of one publisher: which get a message, and whether at once, coalesced or later.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::batch::{Batch, Burst};
use super::encoder::{Encoder, encoded_len};
use super::peer::Peer;
use super::stream::{Stream, wait_for_writes};
use crate::stats::PeerStats;
use crate::transport::error::SocketError;
use crate::transport::interrupt::WaitResult;
use crate::transport::socket::Part;

/// How long a subscriber may pause before the rest of what is written to it is copied to its queue.
const READING_PAUSE: Duration = Duration::from_micros(200);
/// The peers, and what is being sent to them.
#[derive(Default)]
pub(super) struct Peers {
    pub(super) list: Vec<Peer>,
    /// The topic of the last message, while the peers know whether they get it.
    topic: Option<Vec<u8>>,
    encoder: Encoder,
    /// Bytes of the longest message so far.
    longest: usize,
    burst: Burst,
    batch: Batch,
    /// When the event thread must flush a batch that was begun just now.
    tail_due: Option<Instant>,
}

/// Whether a full queue loses a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Drop,
    Keep,
}

/// The peers to which a part of messages is written: their index, and the bytes written.
type Begun = SmallVec<[(usize, usize); 4]>;

/// What became of a message.
pub(super) enum Outcome {
    Queued,
    /// A subscriber lost it.
    Lost,
    /// A queue is full, and no subscriber has it.
    Full,
}

impl Peers {
    /// Removes and returns all peers.
    pub(super) fn take(&mut self) -> Vec<Peer> {
        std::mem::take(&mut self.list)
    }

    /// Before subscriptions may change: what was published goes to those that have subscribed by now.
    pub(super) fn begin_change(&mut self) {
        self.flush();
        self.topic = None;
    }

    /// Bytes of the longest message so far.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// When the event thread must call [`flush_tail`](Self::flush_tail), if it does not know yet.
    pub(super) fn take_tail_due(&mut self) -> Option<Instant> {
        self.tail_due.take()
    }

    /// Sends a message to the peers that subscribed to its topic.
    ///
    /// # Errors
    /// When memory is exhausted.
    pub(super) fn send(
        &mut self,
        parts: &mut [Part<'_>],
        policy: Policy,
        byte_limit: u64,
    ) -> Result<Outcome, SocketError> {
        let Some(first) = parts.first() else { return Ok(Outcome::Queued) };
        self.address(first.as_slice());
        let (mut is_wanted, mut is_full, mut limit) = (false, false, usize::MAX);
        for peer in &self.list {
            if peer.is_wanted() {
                is_wanted = true;
                is_full |= peer.is_full(self.batch.messages(), byte_limit);
                limit = limit.min(peer.limit);
            }
        }
        if !is_wanted {
            return Ok(Outcome::Queued);
        }
        if is_full {
            is_full = !self.make_room(byte_limit);
            if is_full && policy == Policy::Keep {
                return Ok(Outcome::Full);
            }
        }
        let len = encoded_len(parts);
        if !is_full && self.batch.takes_untimed(len, limit) {
            self.batch.push(parts);
            return Ok(Outcome::Queued);
        }
        let now = Instant::now();
        let is_burst = self.burst.record(now);
        self.longest = self.longest.max(len);
        if is_burst && !is_full && Batch::accepts(len) {
            if self.batch.is_due(len, limit, now) {
                self.flush_batch(policy);
                self.burst.resume(Instant::now());
            }
            if let Some(due) = self.batch.push_at(parts, now) {
                self.tail_due = Some(due);
            }
            return Ok(Outcome::Queued);
        }
        self.flush_batch(policy);
        let mut lost = false;
        for peer in self.list.iter_mut().filter(|peer| peer.is_wanted()) {
            peer.is_skipped = false;
            if is_full && peer.is_full(0, byte_limit) {
                peer.lose();
                lost = true;
            }
        }
        self.encoder.encode(parts);
        let written = write(&mut self.list, &self.encoder, parts, policy);
        self.burst.resume(Instant::now());
        written.map(|()| if lost { Outcome::Lost } else { Outcome::Queued })
    }

    /// Tells the peers the topic of the following messages.
    fn address(&mut self, topic: &[u8]) {
        if self.topic.as_deref() == Some(topic) {
            return;
        }
        self.flush();
        for peer in &mut self.list {
            peer.address(topic);
        }
        let known = self.topic.get_or_insert_default();
        known.clear();
        known.extend_from_slice(topic);
    }

    /// Sends a batch that waits for too long; returns when to call again.
    pub(super) fn flush_tail(&mut self, now: Instant) -> Option<Instant> {
        let (is_due, again) = self.batch.tail(now);
        if is_due {
            self.flush();
        }
        again
    }

    /// Sends the batch to its subscribers.
    fn flush_batch(&mut self, policy: Policy) {
        let Self { list, batch, .. } = self;
        if batch.messages() == 0 {
            return;
        }
        for peer in list.iter_mut() {
            peer.is_skipped = false;
        }
        // Never fails: no part of a batch is borrowed.
        let _ = write(list, batch.encoder(), &mut [], policy);
        batch.clear();
    }

    /// Sends what waits to share a write.
    pub(super) fn flush(&mut self) {
        self.flush_batch(Policy::Drop);
    }

    /// Sends a message to one peer alone, after what is coalesced.
    ///
    /// # Errors
    /// When memory is exhausted.
    pub(super) fn send_to(
        &mut self,
        key: u64,
        parts: &mut [Part<'_>],
        byte_limit: u64,
    ) -> Result<Outcome, SocketError> {
        let Some(first) = parts.first() else { return Ok(Outcome::Queued) };
        self.address(first.as_slice());
        self.flush();
        let mut outcome = Outcome::Queued;
        for peer in &mut self.list {
            peer.is_skipped = peer.key != key;
            if peer.is_wanted() && !peer.is_skipped && !peer.makes_room(byte_limit) {
                peer.lose();
                outcome = Outcome::Lost;
            }
        }
        self.encoder.encode(parts);
        write(&mut self.list, &self.encoder, parts, Policy::Drop).map(|()| outcome)
    }

    /// The counters of every subscriber.
    pub(super) fn stats(&self) -> Vec<PeerStats> {
        self.list.iter().filter_map(Peer::stats).collect()
    }

    /// Tells a peer of all subscribers.
    pub(super) fn report_to(&mut self, key: u64) {
        let stats = self.stats();
        if let Some(peer) = self.list.iter_mut().find(|peer| peer.key == key) {
            peer.push_report(&stats);
        }
    }

    /// Writes what waits for full queues; whether every subscriber has room for one more message then.
    fn make_room(&mut self, byte_limit: u64) -> bool {
        self.flush();
        let mut has_room = true;
        for peer in self.list.iter_mut().filter(|peer| peer.is_wanted()) {
            has_room &= peer.makes_room(byte_limit);
        }
        has_room
    }
}

/// Writes messages to the peers that want them. What a subscriber does not read at once is queued for it.
///
/// # Errors
/// When memory is exhausted.
fn write(
    list: &mut [Peer],
    encoder: &Encoder,
    parts: &mut [Part<'_>],
    policy: Policy,
) -> Result<(), SocketError> {
    let waits = policy == Policy::Keep;
    let mut queued = Ok(());
    let mut begun = Begun::new();
    for (index, peer) in list.iter_mut().enumerate() {
        if !peer.is_wanted() || peer.is_skipped {
            continue;
        }
        let written = peer.begin_messages(encoder, parts);
        let rest = encoder.len().saturating_sub(written);
        if rest == 0 || peer.is_dead {
            continue;
        }
        if peer.is_worth_waiting(rest, waits) {
            begun.push((index, written));
        } else {
            queued = queued.and(peer.queue_rest(encoder, parts, written));
        }
    }
    // Also after a failure: half a message cannot be taken back.
    complete(list, encoder, parts, &mut begun);
    for (index, written) in begun {
        if let Some(peer) = list.get_mut(index) {
            queued = queued.and(peer.queue_rest(encoder, parts, written));
        }
    }
    queued
}

/// Writes the rest of messages as the subscribers read: the caller's bytes are copied once only, by the
/// kernel. Ends once no subscriber has read for a while; `begun` are those with a rest then.
fn complete(list: &mut [Peer], encoder: &Encoder, parts: &[Part<'_>], begun: &mut Begun) {
    while !begun.is_empty() {
        let streams: SmallVec<[Stream; 4]> = begun
            .iter()
            .filter_map(|(index, _)| list.get(*index))
            .map(|peer| peer.stream.clone())
            .collect();
        let pause = Instant::now() + READING_PAUSE;
        if !matches!(wait_for_writes(&streams, Some(pause), None), Ok(WaitResult::Ready)) {
            break;
        }
        begun.retain(|(index, written)| {
            let Some(peer) = list.get_mut(*index) else { return false };
            *written = peer.continue_messages(encoder, parts, *written);
            *written < encoder.len() && !peer.is_dead
        });
    }
}
