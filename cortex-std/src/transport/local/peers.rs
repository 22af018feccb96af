//! The subscribers of one publisher: which get a message, and whether at once, coalesced or later.

use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::batch::{Batch, Burst};
use super::encoder::{Encoder, encoded_len};
use super::lending::{self, FIRST_PART, LENT_LEN, Lending, Lent, MAX_LENT};
use super::peer::Peer;
use super::stream::{Stream, wait_for_writes};
use crate::stats::{PeerStats, SharedStats};
use crate::transport::error::SocketError;
use crate::transport::interrupt::WaitResult;
use crate::transport::loan::LoanPool;
use crate::transport::shared::SharedBlock;
use crate::transport::socket::Part;
use crate::transport::zmq::owner::frame_of;

/// How long a subscriber may pause before the rest of what is written to it is copied to its queue.
const READING_PAUSE: Duration = Duration::from_micros(200);
/// Unused bytes of shared memory that are kept for such copies.
const POOL_LIMIT: usize = 64 << 20;

/// The peers, and what is being sent to them.
pub(super) struct Peers {
    pub(super) list: Vec<Peer>,
    /// The topic of the last message.
    topic: Vec<u8>,
    /// Whether the peers know if they get messages of this topic.
    is_addressed: bool,
    encoder: Encoder,
    /// Bytes of the longest message so far.
    longest: usize,
    burst: Burst,
    batch: Batch,
    /// When the event thread must flush a batch that was begun just now.
    tail_due: Option<Instant>,
    /// Shared memory for arrays that lie elsewhere.
    pool: LoanPool,
    /// The last lease.
    lease: u32,
    shared: SharedStats,
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

impl Default for Peers {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            topic: Vec::new(),
            is_addressed: false,
            encoder: Encoder::default(),
            longest: 0,
            burst: Burst::default(),
            batch: Batch::default(),
            tail_due: None,
            pool: LoanPool::shared(POOL_LIMIT),
            lease: 0,
            shared: SharedStats::default(),
        }
    }
}

impl Peers {
    /// Removes and returns all peers.
    pub(super) fn take(&mut self) -> Vec<Peer> {
        std::mem::take(&mut self.list)
    }

    /// Before subscriptions may change: what was published goes to those that have subscribed by now.
    pub(super) fn begin_change(&mut self) {
        self.flush();
        self.is_addressed = false;
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
        let sent = self.send_now(parts, policy);
        self.burst.resume(Instant::now());
        Ok(match sent? {
            false => Outcome::Full,
            true if lost => Outcome::Lost,
            true => Outcome::Queued,
        })
    }

    /// Sends a message by itself to the peers that are not skipped: in shared memory to those that can map
    /// it, through the socket to the others. False: the caller waits until a subscriber returns memory.
    fn send_now(&mut self, parts: &mut [Part<'_>], policy: Policy) -> Result<bool, SocketError> {
        let lent = self.lend(parts)?;
        if lent.is_empty() {
            self.encoder.encode(parts);
            return write(&mut self.list, &self.encoder, parts, policy).map(|()| true);
        }
        if policy == Policy::Keep && self.awaits_return(&lent) {
            return Ok(false);
        }
        let is_receiver = |peer: &Peer| peer.is_wanted() && !peer.is_skipped;
        let mut receivers = SmallVec::<[(usize, bool); 8]>::new();
        for (index, peer) in self.list.iter_mut().enumerate() {
            if is_receiver(peer) {
                let borrows = peer.prepare_lending(&lent);
                self.shared.through_socket += u64::from(!borrows && peer.lending.is_some());
                receivers.push((index, borrows));
            }
        }
        let mut sent = Ok(());
        for borrows in [true, false] {
            let mut count = 0_usize;
            self.list.iter_mut().for_each(|peer| peer.is_skipped = true);
            for &(index, _) in receivers.iter().filter(|(_, other)| *other == borrows) {
                let Some(peer) = self.list.get_mut(index) else { continue };
                peer.is_skipped = false;
                count = count.saturating_add(1);
                for one in if borrows { &lent[..] } else { &[] } {
                    if let (Some(lending), Some(Part::Frame(frame) | Part::Counted(frame))) =
                        (&mut peer.lending, parts.get_mut(one.part))
                    {
                        lending.hold(one.lease, frame.share()?);
                        self.shared.lent = self.shared.lent.saturating_add(1);
                    }
                }
            }
            if count == 0 {
                continue;
            }
            if borrows {
                lending::encode(&lent, parts, &mut self.encoder);
            } else {
                self.encoder.encode(parts);
            }
            sent = sent.and(write(&mut self.list, &self.encoder, parts, policy));
        }
        sent.map(|()| true)
    }

    /// Whether a subscriber holds so much that a publisher waits.
    fn awaits_return(&mut self, lent: &[Lent]) -> bool {
        let mut awaits = false;
        for peer in self.list.iter_mut().filter(|peer| peer.is_wanted()) {
            if let Some(lending) = &mut peer.lending {
                lending.is_awaited = !lending.has_room(lent, true);
                awaits |= lending.is_awaited;
            }
        }
        awaits
    }

    /// The parts that can be lent. Long arrays that lie elsewhere are copied into shared memory, once for
    /// all subscribers. Empty where no receiver maps shared memory.
    fn lend(&mut self, parts: &mut [Part<'_>]) -> Result<SmallVec<[Lent; 2]>, SocketError> {
        let mut lent = SmallVec::new();
        let is_long = |part: &Part<'_>| part.len() >= LENT_LEN;
        if !parts.iter().skip(FIRST_PART).any(is_long)
            || !self.list.iter().any(|peer| peer.is_wanted() && peer.lending.is_some())
        {
            return Ok(lent);
        }
        for (index, part) in parts.iter_mut().enumerate().skip(FIRST_PART) {
            let len = part.len();
            if len < LENT_LEN || lent.len() >= MAX_LENT {
                continue;
            }
            let is_frame = !matches!(part, Part::Copy(_));
            let mut found = if is_frame { SharedBlock::find(part.as_slice()) } else { None };
            if found.is_none()
                && let Some(mut memory) = self.pool.try_take_shared(len)
            {
                memory.copy_from_slice(part.as_slice());
                *part = Part::Frame(frame_of(memory)?);
                found = SharedBlock::find(part.as_slice());
            }
            let Some((block, offset)) = found else { continue };
            self.lease = self.lease.wrapping_add(1);
            lent.push(Lent { part: index, block, offset, len, lease: self.lease });
        }
        Ok(lent)
    }

    /// How arrays went to subscribers that map shared memory.
    pub(super) fn shared(&self) -> SharedStats {
        let held = self.list.iter().filter_map(|peer| peer.lending.as_ref()).map(Lending::held);
        let (held, held_bytes) =
            held.fold((0, 0), |sum: (usize, usize), one| (sum.0 + one.0, sum.1 + one.1));
        SharedStats { held, held_bytes, ..self.shared }
    }

    /// Tells the peers the topic of the following messages.
    fn address(&mut self, topic: &[u8]) {
        if self.is_addressed && self.topic == topic {
            return;
        }
        self.flush();
        for peer in &mut self.list {
            peer.address(topic);
        }
        self.topic.clear();
        self.topic.extend_from_slice(topic);
        self.is_addressed = true;
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
