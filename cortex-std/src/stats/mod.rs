//! Counters of publishers and subscribers.

pub(crate) mod histogram;
pub(crate) mod latency;
pub(crate) mod node;
pub(crate) mod parts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::clock::system_time;
use crate::wire::DecodeErrorKind;

use latency::{Latency, Trace};

/// A subscriber that is connected to a publisher, and its counters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct PeerStats {
    /// Its process; `None` where the system does not tell, as across containers.
    pub pid: Option<u32>,
    /// The name of the process as the kernel shows it when the subscriber connects: up to 15 bytes.
    pub process: Option<String>,
    /// The name of its node, as it says; `None` for a peer that tells none, such as a Python subscriber.
    pub node: Option<String>,
    /// Messages that it lost because its queue was full.
    pub lost: Option<u64>,
    /// Messages that its connection has not taken yet.
    pub waiting: Option<usize>,
    /// Bytes of those messages.
    pub waiting_bytes: Option<u64>,
    /// Arrays that were lent to it in shared memory; `None` for a subscriber that does not map any.
    pub lent: Option<u64>,
    /// Arrays of which it holds the samples now.
    pub held: Option<usize>,
    /// Bytes of those arrays.
    pub held_bytes: Option<u64>,
    /// How long it has held the oldest of them; `None` where it holds none.
    pub held_for: Option<Duration>,
}

/// How a publisher's long arrays go to subscribers on its machine that map shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct SharedStats {
    /// Arrays that were lent in shared memory, one for each subscriber.
    pub lent: u64,
    /// Messages with long arrays that went through the socket, since a subscriber held too much.
    pub through_socket: u64,
    /// Arrays that subscribers hold now.
    pub held: usize,
    /// Bytes of those arrays.
    pub held_bytes: usize,
}

/// Counters of a publisher.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PublisherStats {
    /// Messages published, delivered or not: the next sequence number.
    pub published: u64,
    /// Bytes of all frames handed to the transport.
    pub sent_bytes: u64,
    /// How often a subscriber's queue became full. Each time that subscriber lost one message or more, which
    /// it counts as lost only once it has read up to the gap.
    pub congested: u64,
    /// Current subscribers.
    pub subscribers: usize,
    /// Messages that a subscriber's connection has not taken yet.
    pub waiting: usize,
    /// Messages that may wait for one subscriber: [`queue`](crate::PublisherBuilder::queue), or fewer where
    /// the longest message so far fills [`queue_bytes`](crate::PublisherBuilder::queue_bytes) sooner; 0 is
    /// no limit.
    pub queue_limit: usize,
    /// When the last message was published, delivered or not; `None` before the first.
    pub last_publish_time: Option<SystemTime>,
    /// Each subscriber, with what it lost and what waits for it; empty where libzmq carries the messages,
    /// which does not tell. A subscription counts in [`subscribers`](Self::subscribers) as soon as the
    /// publisher processes it, which may be later than here.
    pub peers: Vec<PeerStats>,
    /// Arrays in shared memory.
    pub shared: SharedStats,
}

/// Counters of a subscriber.
///
/// Every message that the publisher numbered since the first one received is either still queued or counted
/// once: received + lost + overwritten + rejected. (A message with a malformed header has no number: it
/// counts as rejected and again as lost. Rejected messages of other topics are counted in addition.)
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SubscriberStats {
    /// Messages received that have the type.
    pub received: u64,
    /// Bytes of their frames.
    pub received_bytes: u64,
    /// When the last of them was delivered; `None` before the first.
    pub last_receive_time: Option<SystemTime>,
    /// Age of that message when it was delivered, by the wall clocks of both machines: time in queues and
    /// in the transport, and what a reader that is too slow accumulates. Zero before the first.
    ///
    /// A reader whose messages age by more than a second is logged, at most once in ten seconds.
    pub age: Duration,
    /// Messages that the publisher has probably sent since that one: its age divided by the interval of
    /// the last two messages. Losses among them are not counted yet.
    pub behind: u64,
    /// Messages that the publisher numbered and that never arrived, as far as the gaps were read.
    pub lost: u64,
    /// Messages that arrived and were replaced by newer ones before they were read:
    /// [`Queue::KeepNewest`](crate::Queue::KeepNewest) and [`Queue::Latest`](crate::Queue::Latest).
    pub overwritten: u64,
    /// Restarts of the publisher.
    pub restarted: u64,
    /// Connections over tcp that broke and were made again; what was under way is lost. A publisher that
    /// restarts at its address counts as well.
    pub reconnected: u64,
    /// Copies of the last message of a latched publisher; not delivered again.
    pub repeated: u64,
    /// How often no message arrived within the deadline.
    pub silences: u64,
    /// Callbacks that returned an error or panicked.
    pub failed: u64,
    /// Messages that were not delivered, by reason.
    pub rejected: Rejected,
    /// The last times of each stage; empty unless
    /// [`trace_latency`](crate::SubscriberBuilder::trace_latency) or `CORTEX_TRACE_LATENCY` is set.
    pub latency: Latency,
}

/// Messages that were not delivered, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Rejected {
    /// Another topic that begins with this topic's name.
    pub topic: u64,
    /// The header is missing or not 24 bytes long.
    pub header: u64,
    /// Another type: the fingerprint is not accepted.
    pub fingerprint: u64,
    /// An array does not fit its buffer, or the buffer is missing.
    pub buffer: u64,
    /// Any other fault of the metadata.
    pub metadata: u64,
}

impl Rejected {
    /// The sum of all reasons.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.topic + self.header + self.fingerprint + self.buffer + self.metadata
    }
}

/// A counter that any thread may read and add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// As [`add`](Self::add), where one thread at a time adds: without a locked instruction.
    pub(crate) fn add_alone(&self, amount: u64) {
        self.set(self.value().wrapping_add(amount));
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters behind [`PublisherStats`].
#[derive(Debug, Default)]
pub(crate) struct PublisherCounters {
    /// The next sequence number.
    pub(crate) published: Counter,
    pub(crate) sent_bytes: Counter,
    pub(crate) congested: Counter,
    pub(crate) subscribers: Counter,
    pub(crate) waiting: Counter,
    pub(crate) queue_limit: Counter,
    pub(crate) last_publish_ns: Counter,
}

impl PublisherCounters {
    pub(crate) fn snapshot(&self) -> PublisherStats {
        let count = |counter: &Counter| usize::try_from(counter.value()).unwrap_or(usize::MAX);
        PublisherStats {
            published: self.published.value(),
            sent_bytes: self.sent_bytes.value(),
            congested: self.congested.value(),
            subscribers: count(&self.subscribers),
            waiting: count(&self.waiting),
            queue_limit: count(&self.queue_limit),
            last_publish_time: system_time(self.last_publish_ns.value()),
            peers: Vec::new(),
            shared: SharedStats::default(),
        }
    }
}

/// Counters behind [`SubscriberStats`].
#[derive(Debug, Default)]
pub(crate) struct SubscriberCounters {
    pub(crate) trace: Option<Trace>,
    pub(crate) received: Counter,
    pub(crate) received_bytes: Counter,
    pub(crate) last_receive_ns: Counter,
    pub(crate) age_ns: Counter,
    /// Between the last two messages, by the publisher's clock; 0 if unknown.
    pub(crate) interval_ns: Counter,
    pub(crate) lost: Counter,
    pub(crate) overwritten: Counter,
    pub(crate) restarted: Counter,
    /// Shared with the sockets, which count.
    pub(crate) reconnected: Arc<AtomicU64>,
    pub(crate) repeated: Counter,
    pub(crate) silences: Counter,
    pub(crate) failed: Counter,
    topic: Counter,
    header: Counter,
    fingerprint: Counter,
    buffer: Counter,
    metadata: Counter,
}

impl SubscriberCounters {
    /// Counters with a trace of `samples` times of each stage.
    pub(crate) fn tracing(samples: usize) -> Self {
        Self { trace: Trace::new(samples), ..Self::default() }
    }

    /// The time, if latencies are traced.
    pub(crate) fn begin(&self) -> Option<Instant> {
        self.trace.is_some().then(Instant::now)
    }

    /// Decoding, which began at `begun`, is done.
    pub(crate) fn decoded(&self, begun: Option<Instant>) {
        if let (Some(trace), Some(begun)) = (&self.trace, begun) {
            trace.decoded(begun);
        }
    }

    /// The callback, called at `begun`, is done.
    pub(crate) fn called(&self, begun: Option<Instant>) {
        if let (Some(trace), Some(begun)) = (&self.trace, begun) {
            trace.called(begun);
        }
    }

    pub(crate) fn reject_topic(&self) {
        self.topic.add(1);
    }

    pub(crate) fn reject(&self, kind: DecodeErrorKind) {
        let counter = match kind {
            DecodeErrorKind::HeaderLength { .. } | DecodeErrorKind::NoFrames => &self.header,
            DecodeErrorKind::Fingerprint { .. } => &self.fingerprint,
            DecodeErrorKind::BufferMissing { .. } | DecodeErrorKind::BufferLength { .. } => {
                &self.buffer
            }
            _ => &self.metadata,
        };
        counter.add(1);
    }

    pub(crate) fn snapshot(&self) -> SubscriberStats {
        SubscriberStats {
            received: self.received.value(),
            received_bytes: self.received_bytes.value(),
            last_receive_time: system_time(self.last_receive_ns.value()),
            age: Duration::from_nanos(self.age_ns.value()),
            behind: self.age_ns.value().checked_div(self.interval_ns.value()).unwrap_or(0),
            lost: self.lost.value(),
            overwritten: self.overwritten.value(),
            restarted: self.restarted.value(),
            reconnected: self.reconnected.load(Ordering::Relaxed),
            repeated: self.repeated.value(),
            silences: self.silences.value(),
            failed: self.failed.value(),
            rejected: Rejected {
                topic: self.topic.value(),
                header: self.header.value(),
                fingerprint: self.fingerprint.value(),
                buffer: self.buffer.value(),
                metadata: self.metadata.value(),
            },
            latency: self.trace.as_ref().map(Trace::snapshot).unwrap_or_default(),
        }
    }
}
