//! The subscribers of one publisher: which get a message, and whether at once, coalesced or later.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::encoder::Encoder;
use super::peer::Peer;
use super::stream::{Stream, wait_for_writes};
use crate::stats::PeerStats;
use crate::transport::error::SocketError;
use crate::transport::interrupt::WaitResult;
use crate::transport::socket::Part;

/// The longest message that is coalesced.
const COALESCED_LEN: usize = 4096;
/// Bytes of the largest batch.
const BATCH_LEN: usize = 64 * 1024;
/// Messages that follow each other more closely than this are a burst.
const BURST_GAP: Duration = Duration::from_micros(5);
/// Messages of a burst that are sent at once, before the following ones are coalesced.
const BURST_START: u32 = 16;
/// How long a subscriber that reads a long message may pause before the rest of it is copied to its queue.
const READING_PAUSE: Duration = Duration::from_micros(200);
/// A batch is sent with the first message after this time.
const BATCH_DELAY: Duration = Duration::from_micros(50);
/// A batch is sent by the event thread after this time: the end of a burst.
const TAIL_DELAY: Duration = Duration::from_micros(200);

/// The peers, and what is being sent to them.
#[derive(Default)]
pub(super) struct Peers {
    pub(super) list: Vec<Peer>,
    encoder: Encoder,
    /// Bytes of the longest message so far.
    pub(super) longest: usize,
    batch: Batch,
    /// When the event thread must flush a batch that was begun just now.
    pub(super) tail_due: Option<Instant>,
    /// When the last message was sent or coalesced.
    last: Option<Instant>,
    /// Messages of the current burst.
    burst: u32,
}

/// Small messages that wait to share one write.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    messages: usize,
    topic: Vec<u8>,
    since: Option<Instant>,
}

/// Whether a full queue loses a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Drop,
    Keep,
}

/// The peers to which the beginning of a long message is written: their index, and the bytes written.
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
        let topic = first.as_slice();
        let (mut is_wanted, mut has_backlog, mut limit) = (false, false, usize::MAX);
        for peer in &mut self.list {
            if peer.matches(topic) {
                is_wanted = true;
                has_backlog |= !peer.backlog.is_empty();
                limit = limit.min(peer.limit);
            }
        }
        if !is_wanted {
            return Ok(Outcome::Queued);
        }
        if policy == Policy::Keep && has_backlog && !self.has_room(topic, byte_limit) {
            return Ok(Outcome::Full);
        }
        let now = Instant::now();
        let is_burst =
            self.last.is_some_and(|last| now.saturating_duration_since(last) < BURST_GAP);
        self.last = Some(now);
        self.burst = if is_burst { self.burst.saturating_add(1) } else { 0 };
        let mut encoder = std::mem::take(&mut self.encoder);
        encoder.encode(parts);
        let may_coalesce =
            self.burst >= BURST_START && !has_backlog && encoder.len() <= COALESCED_LEN;
        let topic = parts.first().map_or(&[][..], Part::as_slice);
        let outcome = if may_coalesce && self.coalesce(&encoder, topic, limit, now) {
            Ok(Outcome::Queued)
        } else {
            let outcome = self.send_now(&encoder, parts, policy, byte_limit);
            // The time of the writes is not part of the gap.
            self.last = Some(Instant::now());
            outcome
        };
        self.encoder = encoder;
        outcome
    }

    /// Appends a small message to the batch; false if it must be sent by itself.
    fn coalesce(&mut self, encoder: &Encoder, topic: &[u8], limit: usize, now: Instant) -> bool {
        let Some(bytes) = encoder.contiguous() else { return false };
        let batch = &self.batch;
        let is_full = batch.bytes.len().saturating_add(bytes.len()) > BATCH_LEN
            || batch.messages >= limit
            || batch.since.is_some_and(|since| now.saturating_duration_since(since) >= BATCH_DELAY);
        if is_full || batch.topic != topic {
            self.flush_batch();
        }
        let batch = &mut self.batch;
        batch.bytes.extend_from_slice(bytes);
        batch.messages = batch.messages.saturating_add(1);
        if batch.messages == 1 {
            batch.topic.clear();
            batch.topic.extend_from_slice(topic);
            let is_armed = batch.since.is_some();
            batch.since = Some(now);
            if !is_armed {
                self.tail_due = Some(now + TAIL_DELAY);
            }
        }
        true
    }

    /// Sends a batch that waits for too long; returns when to call again.
    pub(super) fn flush_tail(&mut self, now: Instant) -> Option<Instant> {
        let since = self.batch.since?;
        if self.batch.messages > 0 && now.saturating_duration_since(since) < TAIL_DELAY {
            return Some(since + TAIL_DELAY);
        }
        self.flush_batch();
        self.batch.since = None;
        None
    }

    /// Sends the batch to its subscribers.
    pub(super) fn flush_batch(&mut self) {
        let Self { list, batch, .. } = self;
        if batch.messages == 0 {
            return;
        }
        for peer in list {
            if peer.matches(&batch.topic) {
                peer.send_batch(&batch.bytes, batch.messages);
            }
        }
        batch.bytes.clear();
        batch.messages = 0;
    }

    /// Sends a message by itself, after the batch.
    fn send_now(
        &mut self,
        encoder: &Encoder,
        parts: &mut [Part<'_>],
        policy: Policy,
        byte_limit: u64,
    ) -> Result<Outcome, SocketError> {
        self.flush_batch();
        self.longest = self.longest.max(encoder.len());
        let mut outcome = Outcome::Queued;
        let mut begun = Begun::new();
        let mut failed = Ok(());
        for (index, peer) in self.list.iter_mut().enumerate() {
            let topic = parts.first().map_or(&[][..], Part::as_slice);
            if !peer.matches(topic) {
                continue;
            }
            if policy == Policy::Drop && !peer.backlog.is_empty() && peer.is_full(byte_limit) {
                // The event thread may not have seen yet that the kernel has room.
                peer.flush();
                if peer.is_full(byte_limit) {
                    peer.lost = peer.lost.saturating_add(1);
                    outcome = Outcome::Lost;
                    continue;
                }
            }
            match peer.send_message(encoder, parts) {
                Ok(None) => {}
                Ok(Some(written)) => begun.push((index, written)),
                Err(error) => failed = Err(error),
            }
        }
        // Also after a failure: half a message cannot be taken back.
        failed.and(self.complete(encoder, parts, begun)).map(|()| outcome)
    }

    /// Sends the rest of a long message, as the subscribers read it: the caller's bytes are copied once
    /// only, by the kernel. What a subscriber does not read at once is queued.
    fn complete(
        &mut self,
        encoder: &Encoder,
        parts: &mut [Part<'_>],
        mut begun: Begun,
    ) -> Result<(), SocketError> {
        while !begun.is_empty() {
            let streams: SmallVec<[Stream; 4]> = begun
                .iter()
                .filter_map(|(index, _)| self.list.get(*index))
                .map(|peer| peer.stream.clone())
                .collect();
            let pause = Instant::now() + READING_PAUSE;
            if !matches!(wait_for_writes(&streams, Some(pause), None), Ok(WaitResult::Ready)) {
                break;
            }
            begun.retain(|(index, written)| {
                let Some(peer) = self.list.get_mut(*index) else { return false };
                *written = peer.continue_message(encoder, parts, *written);
                *written < encoder.len() && !peer.is_dead
            });
        }
        let mut queued = Ok(());
        for (index, written) in begun {
            if let Some(peer) = self.list.get_mut(index) {
                queued = queued.and(peer.queue_rest(encoder, parts, written));
            }
        }
        queued
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
        self.flush_batch();
        let mut encoder = std::mem::take(&mut self.encoder);
        encoder.encode(parts);
        let mut outcome = Ok(Outcome::Queued);
        let topic = parts.first().map_or(&[][..], Part::as_slice);
        if let Some(index) = self.list.iter().position(|peer| peer.key == key)
            && let Some(peer) = self.list.get_mut(index)
            && peer.matches(topic)
        {
            peer.flush();
            outcome = if peer.is_full(byte_limit) {
                peer.lost = peer.lost.saturating_add(1);
                Ok(Outcome::Lost)
            } else {
                match peer.send_message(&encoder, parts) {
                    Ok(None) => Ok(Outcome::Queued),
                    Ok(Some(written)) => {
                        let begun = Begun::from_iter([(index, written)]);
                        self.complete(&encoder, parts, begun).map(|()| Outcome::Queued)
                    }
                    Err(error) => Err(error),
                }
            };
        }
        self.encoder = encoder;
        outcome
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

    /// Whether every subscriber of the topic has room for one more message.
    fn has_room(&mut self, topic: &[u8], byte_limit: u64) -> bool {
        let mut has_room = true;
        for peer in &mut self.list {
            if peer.matches(topic) && peer.is_full(byte_limit) {
                peer.flush();
                has_room &= !peer.is_full(byte_limit) || peer.is_dead;
            }
        }
        has_room
    }
}
