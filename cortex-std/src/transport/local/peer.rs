//! One subscriber that is connected to a publisher.

use std::io::IoSlice;
use std::time::Instant;

use rustix::io::Errno;

use super::backlog::Backlog;
use super::encoder::Encoder;
use super::hub::{EventFlags, Registration};
use super::inbound::{Event, Inbound};
use super::lending::{Lending, Lent, is_passing};
use super::report::{self, REPORT_PROPERTY};
use super::sharing::MEMORY_PROPERTY;
use super::stream::Stream;
use super::subscriptions::Subscriptions;
use crate::stats::PeerStats;
use crate::transport::error::SocketError;
use crate::transport::socket::{Part, PublisherOptions};
use crate::wire::zmtp::{Greeting, pong_head, write_ready};

/// The socket types that subscribe.
const SUBSCRIBERS: &[&[u8]] = &[b"SUB", b"XSUB"];
/// What the kernel charges for a message beside its bytes.
const OVERHEAD: usize = 768;
/// The largest send buffer: a larger one costs latency and gains nothing.
const MAX_SEND_BUFFER: usize = 1 << 20;
/// A rest of this length is not copied at once, but written while the subscriber reads.
const LONG_REST: usize = MAX_SEND_BUFFER;
/// Bytes of one read.
const READ_LEN: usize = 4096;
/// Reads of one peer before the event thread serves others.
const MAX_READS: usize = 16;
/// A peer that does not read gets no PONG beyond this backlog.
const MAX_PONG_BACKLOG: u64 = 64 * 1024;

/// A change of the subscriptions of a peer.
pub(super) enum Change {
    Subscribed(Vec<u8>),
    Unsubscribed(Vec<u8>),
}

/// A connection to a subscriber.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) key: u64,
    pub(super) stream: Stream,
    // Dropped before the descriptor may be closed.
    registration: Option<Registration>,
    inbound: Inbound,
    pub(super) subscriptions: Subscriptions,
    pub(super) backlog: Backlog,
    /// Messages that may wait, beside those in the kernel; `usize::MAX` for no limit.
    pub(super) limit: usize,
    /// When the handshake must be complete.
    pub(super) deadline: Option<Instant>,
    /// The subscriber's own queue, where it tells one: limits what waits in the kernel.
    window: Option<usize>,
    /// Bytes of the messages for which the send buffer is set.
    buffered_len: usize,
    is_watching_writes: bool,
    /// Whether the subscriber has not read since messages were queued for it.
    is_paused: bool,
    /// Whether the peer gets messages of the topic that is being sent.
    pub(super) is_addressed: bool,
    /// Whether the peer loses the message that is being sent.
    pub(super) is_skipped: bool,
    pub(super) is_dead: bool,
    /// What is known of the peer; its counters are filled in by [`stats`](Self::stats).
    identity: PeerStats,
    /// Messages that were dropped because its queue was full.
    lost: u64,
    /// Whether the peer waits for a report.
    pub(super) wants_report: bool,
    /// Whether this publisher shares memory.
    shares: bool,
    /// What is lent to a peer that maps shared memory.
    pub(super) lending: Option<Lending>,
}

impl Peer {
    pub(super) fn new(
        key: u64,
        stream: Stream,
        process: Option<(u32, Option<String>)>,
        options: &PublisherOptions,
        shares: bool,
        deadline: Instant,
    ) -> Self {
        let &PublisherOptions { high_water_mark, max_subscription_len, .. } = options;
        let (pid, process) = process.map_or((None, None), |(pid, name)| (Some(pid), name));
        let mut peer = Self {
            key,
            stream,
            registration: None,
            // SUBSCRIBE comes before the prefix. Other commands are as long.
            inbound: Inbound::new(
                SUBSCRIBERS,
                u64::try_from(max_subscription_len).map_or(u64::MAX, |len| len.saturating_add(32)),
            ),
            subscriptions: Subscriptions::default(),
            backlog: Backlog::default(),
            limit: match usize::try_from(high_water_mark) {
                Ok(0) | Err(_) => usize::MAX,
                Ok(limit) => limit,
            },
            deadline: Some(deadline),
            window: None,
            buffered_len: 0,
            is_watching_writes: false,
            is_paused: false,
            is_addressed: false,
            is_skipped: false,
            is_dead: false,
            identity: PeerStats { pid, process, ..PeerStats::default() },
            lost: 0,
            wants_report: false,
            shares,
            lending: None,
        };
        peer.push_control(&Greeting::BYTES);
        peer
    }

    /// Answers a request for a report, unless the peer does not read.
    pub(super) fn push_report(&mut self, subscribers: &[PeerStats]) {
        if self.backlog.bytes() < MAX_PONG_BACKLOG {
            self.push_control(&report::answer(subscribers));
        }
    }

    /// The counters of a subscriber; `None` for a peer without a subscription.
    pub(super) fn stats(&self) -> Option<PeerStats> {
        let is_subscriber = !self.is_dead && !self.subscriptions.is_empty();
        is_subscriber.then(|| {
            let mut stats = PeerStats {
                lost: Some(self.lost),
                waiting: Some(self.backlog.unsent()),
                waiting_bytes: Some(self.backlog.bytes()),
                ..self.identity.clone()
            };
            if let Some(lending) = &self.lending {
                lending.add_stats(&mut stats);
            }
            stats
        })
    }

    pub(super) fn set_registration(&mut self, registration: Registration) {
        self.registration = Some(registration);
        self.watch_writes(!self.backlog.is_empty());
    }

    /// The following messages are of this topic.
    pub(super) fn address(&mut self, topic: &[u8]) {
        self.is_addressed = self.inbound.is_ready() && self.subscriptions.matches(topic);
    }

    /// Whether the peer gets the messages that are being sent.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_addressed && !self.is_dead
    }

    /// Whether no further message may wait, beside `messages` that are not in the backlog yet.
    pub(super) fn is_full(&self, messages: usize, byte_limit: u64) -> bool {
        let messages = self.backlog.messages().saturating_add(messages);
        // Two messages may wait, however long they are.
        messages >= self.limit || (messages >= 2 && self.backlog.bytes() >= byte_limit)
    }

    /// Whether one more message may wait, after a look whether the kernel has room.
    pub(super) fn makes_room(&mut self, byte_limit: u64) -> bool {
        if self.is_full(0, byte_limit) {
            // The event thread may not have seen yet that the kernel has room.
            self.flush();
        }
        !self.is_full(0, byte_limit) || self.is_dead
    }

    /// The peer loses the message that is being sent.
    pub(super) fn lose(&mut self) {
        self.is_skipped = true;
        self.lost = self.lost.saturating_add(1);
    }

    /// Receives what the peer sent; calls `changed` for each change of its subscriptions.
    pub(super) fn receive(&mut self, mut changed: impl FnMut(Change)) {
        let mut bytes = [0_u8; READ_LEN];
        for _ in 0..MAX_READS {
            if self.is_dead {
                break;
            }
            match self.stream.recv(&mut bytes) {
                Ok(0) => self.is_dead = true,
                Ok(count) => {
                    let mut input = bytes.get(..count).unwrap_or_default();
                    self.process(&mut input, &mut changed);
                    if count < READ_LEN {
                        break;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => break,
                Err(_) => self.is_dead = true,
            }
        }
        if self.is_dead {
            self.subscriptions.drain().for_each(|prefix| changed(Change::Unsubscribed(prefix)));
        } else {
            self.flush();
        }
    }

    fn process(&mut self, input: &mut &[u8], changed: &mut impl FnMut(Change)) {
        loop {
            match self.inbound.receive(input) {
                Ok(None) => return,
                Ok(Some(Event::Greeted(_))) => {
                    let mut ready = Vec::new();
                    let mut properties =
                        vec![("Socket-Type", &b"PUB"[..]), (REPORT_PROPERTY, b"1")];
                    if self.shares {
                        properties.push((MEMORY_PROPERTY, b"1"));
                    }
                    write_ready(&properties, |part| ready.extend_from_slice(part));
                    self.push_control(&ready);
                }
                Ok(Some(Event::Ready(introduced))) => {
                    self.deadline = None;
                    self.identity.node = introduced.node;
                    self.lending = (self.shares && introduced.shares).then(Lending::default);
                    self.window = introduced.queue.and_then(|queue| usize::try_from(queue).ok());
                    if let Some(window @ 1..) = self.window {
                        self.limit = self.limit.min(window);
                    }
                }
                Ok(Some(Event::Subscribe(prefix))) => {
                    if !self.subscriptions.add(&prefix) {
                        tracing::warn!("a subscriber has too many subscriptions; disconnected");
                        self.is_dead = true;
                        return;
                    }
                    changed(Change::Subscribed(prefix));
                }
                Ok(Some(Event::Cancel(prefix))) => {
                    if self.subscriptions.remove(&prefix) {
                        changed(Change::Unsubscribed(prefix));
                    }
                }
                Ok(Some(Event::Ping(context))) => {
                    if self.backlog.bytes() < MAX_PONG_BACKLOG {
                        let pong = [&pong_head(context.len())[..], &context].concat();
                        self.push_control(&pong);
                    }
                }
                Ok(Some(Event::Report(_))) => self.wants_report = true,
                Ok(Some(Event::Return(lease))) => {
                    if let Some(lending) = &mut self.lending {
                        lending.release(lease);
                    }
                }
                Err(kind) => {
                    tracing::debug!(%kind, "a subscriber violates ZMTP; disconnected");
                    self.is_dead = true;
                    return;
                }
            }
        }
    }

    /// Queues bytes that are no message, behind the messages that wait.
    pub(super) fn push_control(&mut self, bytes: &[u8]) {
        self.backlog.push_bytes(bytes);
        self.flush();
    }

    /// Writes what waits, and watches for room while something is left.
    pub(super) fn flush(&mut self) {
        let stream = &self.stream;
        let before = self.backlog.bytes();
        if self.backlog.write(|slices| stream.send(slices)).is_err() {
            self.is_dead = true;
        }
        self.is_paused &= self.backlog.bytes() == before;
        self.watch_writes(!self.backlog.is_empty() && !self.is_dead);
    }

    /// Whether the event thread is to call when the kernel has room.
    fn watch_writes(&mut self, watches: bool) {
        if self.is_watching_writes != watches
            && let Some(registration) = &self.registration
        {
            self.is_watching_writes = watches;
            let writes = if watches { EventFlags::OUT } else { EventFlags::empty() };
            registration.set(EventFlags::IN | EventFlags::RDHUP | writes);
        }
    }

    /// Adjusts the kernel's buffer: to the subscriber's queue, or to what is fast.
    fn size_buffer(&mut self, len: usize) {
        let is_fitting = len <= self.buffered_len.saturating_mul(2)
            && (self.window.is_none() || len >= self.buffered_len / 4);
        if is_fitting && self.buffered_len > 0 {
            return;
        }
        self.buffered_len = len.max(1);
        let len = match self.window {
            // The kernel doubles the number for its bookkeeping, which is counted here.
            Some(window @ 1..) => window.saturating_mul(len.saturating_add(OVERHEAD)) / 2,
            // The system's default is enough for small messages.
            _ if len < 64 * 1024 => return,
            _ => MAX_SEND_BUFFER,
        };
        self.stream.set_send_buffer(len.clamp(1, MAX_SEND_BUFFER));
    }

    /// Whether a publisher waits until the peer returns memory.
    pub(super) fn is_awaited(&self) -> bool {
        let awaited = |lending: &Lending| lending.is_awaited;
        self.is_wanted() && self.lending.as_ref().is_some_and(awaited)
    }

    /// Whether parts of a message can be lent to the peer, which then knows their buffers.
    pub(super) fn prepare_lending(&mut self, lent: &[Lent]) -> bool {
        let Some(lending) = &mut self.lending else { return false };
        if !lending.has_room(lent, false) {
            return false;
        }
        if lent.iter().all(|one| lending.knows(&one.block)) {
            return true;
        }
        let forgotten = lending.forget_dropped();
        self.push_control(&forgotten);
        for Lent { block, .. } in lent {
            let Some(lending) = &mut self.lending else { return false };
            if lending.knows(block) {
                continue;
            }
            // A descriptor travels with the first byte of its command, which the backlog cannot do.
            if !self.backlog.is_empty() {
                return false;
            }
            match lending.introduce(block, &self.stream) {
                Ok(rest) => self.push_control(&rest),
                Err(errno) => {
                    self.is_dead |= !is_passing(errno);
                    return false;
                }
            }
        }
        true
    }

    /// Writes encoded messages, or what the kernel accepts of them; returns how many bytes are written.
    ///
    /// The caller writes the rest with [`continue_messages`](Self::continue_messages) or queues it with
    /// [`queue_rest`](Self::queue_rest).
    pub(super) fn begin_messages(&mut self, encoder: &Encoder, parts: &[Part<'_>]) -> usize {
        self.size_buffer(encoder.len().checked_div(encoder.messages()).unwrap_or(0));
        self.continue_messages(encoder, parts, 0)
    }

    /// Whether the rest of encoded messages may be written while the subscriber reads. `waits` allows it for
    /// a short rest, too.
    pub(super) fn is_worth_waiting(&self, rest: usize, waits: bool) -> bool {
        !self.is_paused && (rest >= LONG_REST || waits)
    }

    /// Writes more of messages of which `written` bytes are written; returns how many are then.
    pub(super) fn continue_messages(
        &mut self,
        encoder: &Encoder,
        parts: &[Part<'_>],
        written: usize,
    ) -> usize {
        if !self.backlog.is_empty() {
            self.flush();
            if !self.backlog.is_empty() {
                return written;
            }
        }
        let mut slices = encoder.slices(parts);
        let mut rest = &mut slices[..];
        IoSlice::advance_slices(&mut rest, written);
        written.saturating_add(self.write_now(rest))
    }

    /// Queues messages behind those that wait, without their first `written` bytes, for a subscriber that
    /// has not read for a while.
    ///
    /// # Errors
    /// When memory is exhausted; a peer that has a part of a message is then disconnected.
    pub(super) fn queue_rest(
        &mut self,
        encoder: &Encoder,
        parts: &mut [Part<'_>],
        written: usize,
    ) -> Result<(), SocketError> {
        if let Err(error) = self.backlog.push_messages(encoder, parts, written) {
            // Half a message cannot be taken back, nor what was lent with it.
            let has_lent = self.lending.as_ref().is_some_and(|lending| lending.held().0 > 0);
            self.is_dead |= written > 0 || has_lent;
            return Err(error);
        }
        self.is_paused = true;
        self.watch_writes(true);
        Ok(())
    }

    fn write_now(&mut self, slices: &mut [IoSlice<'_>]) -> usize {
        loop {
            match self.stream.send(slices) {
                Ok(count) => return count,
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => return 0,
                Err(_) => {
                    // The event thread removes the peer.
                    self.is_dead = true;
                    return 0;
                }
            }
        }
    }
}
