//! Counters of publishers and subscribers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::latency::{Latency, Trace};
use crate::wire::DecodeErrorKind;

/// What a publisher has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PublisherStats {
    /// Messages published, whatever became of them: the next sequence number.
    pub published: u64,
    /// Bytes of all frames handed to libzmq.
    pub sent_bytes: u64,
    /// How often some subscriber's queue became full and that one lost a message.
    pub congested: u64,
    /// Subscribers at this moment.
    pub subscribers: usize,
}

/// What a subscriber has seen so far.
///
/// Every message that its publisher numbered since the first one seen is either still waiting to be
/// read or counted once: received + lost + overwritten + rejected. (One whose header cannot be read
/// has no number: it is counted as rejected, and then as lost. Rejected ones of other topics come on
/// top.)
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SubscriberStats {
    /// Messages that came and were of the type.
    pub received: u64,
    /// Bytes of their frames.
    pub received_bytes: u64,
    /// Messages that the publisher numbered and that never came.
    pub lost: u64,
    /// Messages that came and gave way to newer ones before anybody read them:
    /// [`Queue::KeepNewest`](crate::Queue::KeepNewest) and [`Queue::Latest`](crate::Queue::Latest).
    pub overwritten: u64,
    /// How often the publisher started anew.
    pub restarted: u64,
    /// Copies of the last message, of a latched publisher; not delivered again.
    pub repeated: u64,
    /// How often no message came for as long as the deadline allows.
    pub silences: u64,
    /// Callbacks that returned an error or panicked.
    pub failed: u64,
    /// Messages that were not delivered, by reason.
    pub rejected: Rejected,
    /// The last times of each stage; none unless
    /// [`trace_latency`](crate::SubscriberBuilder::trace_latency) or `CORTEX_TRACE_LATENCY` asked.
    pub latency: Latency,
}

/// Messages that were not delivered, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Rejected {
    /// Of another topic that begins like ours.
    pub topic: u64,
    /// The header is missing or not 24 bytes long.
    pub header: u64,
    /// Of another type: the fingerprint is not accepted.
    pub fingerprint: u64,
    /// An array does not fit its buffer, or there is no such buffer.
    pub buffer: u64,
    /// Anything else in the metadata.
    pub metadata: u64,
}

impl Rejected {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.topic + self.header + self.fingerprint + self.buffer + self.metadata
    }
}

/// A counter that several threads may read and one or more add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
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
}

impl PublisherCounters {
    pub(crate) fn snapshot(&self) -> PublisherStats {
        PublisherStats {
            published: self.published.value(),
            sent_bytes: self.sent_bytes.value(),
            congested: self.congested.value(),
            subscribers: usize::try_from(self.subscribers.value()).unwrap_or(usize::MAX),
        }
    }
}

/// Counters behind [`SubscriberStats`].
#[derive(Debug, Default)]
pub(crate) struct SubscriberCounters {
    pub(crate) trace: Option<Trace>,
    pub(crate) received: Counter,
    pub(crate) received_bytes: Counter,
    pub(crate) lost: Counter,
    pub(crate) overwritten: Counter,
    pub(crate) restarted: Counter,
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
    /// Counters that keep `samples` times of each stage.
    pub(crate) fn tracing(samples: usize) -> Self {
        Self { trace: Trace::new(samples), ..Self::default() }
    }

    /// The time, if anybody wants to know how long something takes.
    pub(crate) fn begin(&self) -> Option<Instant> {
        self.trace.is_some().then(Instant::now)
    }

    /// Decoding is done.
    pub(crate) fn decoded(&self, begun: Option<Instant>) {
        if let (Some(trace), Some(begun)) = (&self.trace, begun) {
            trace.decoded(begun);
        }
    }

    /// The callback is done.
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
            lost: self.lost.value(),
            overwritten: self.overwritten.value(),
            restarted: self.restarted.value(),
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

/// Lets one log line a second through and counts the others.
#[derive(Debug, Default)]
pub(crate) struct LogLimit {
    last: Option<Instant>,
    suppressed: u64,
}

impl LogLimit {
    const INTERVAL: Duration = Duration::from_secs(1);

    /// The number of lines left out since the last one, if one may be written now.
    pub(crate) fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < Self::INTERVAL) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_log_line_a_second_tells_how_many_were_left_out() {
        let mut limit = LogLimit::default();
        let start = Instant::now();
        assert_eq!(limit.pass(start), Some(0));
        assert_eq!(limit.pass(start), None);
        assert_eq!(limit.pass(start + Duration::from_millis(999)), None);
        assert_eq!(limit.pass(start + Duration::from_secs(1)), Some(2));
    }
}
