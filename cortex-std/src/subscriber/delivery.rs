//! From a received message to the callback: decoding, counting, timing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::field::display;

use super::comparison::compare;
use super::lag::Lag;
use super::sample::Sample;
use super::subscription::Subscription;
use crate::clock::wall_clock_ns;
use crate::log::{LogLimit, nonzero};
use crate::wire::{DecodeError, Header, Message, TypeInfo};

/// Interval of log lines about a reader that is too slow.
const LAG_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Counts and logs messages that are not delivered.
#[derive(Debug)]
pub(super) struct Rejections {
    subscription: Arc<Subscription>,
    log: LogLimit,
}

impl Rejections {
    pub(super) fn new(subscription: &Arc<Subscription>) -> Self {
        Self { subscription: Arc::clone(subscription), log: LogLimit::default() }
    }

    pub(super) fn reject(&mut self, error: DecodeError) {
        self.reject_with(error, || None);
    }

    /// Rejects a message whose fields do not decode; `details` are the last field of the log line.
    fn reject_with(&mut self, error: DecodeError, details: impl FnOnce() -> Option<String>) {
        self.subscription.counters.reject(error.kind);
        if let Some(suppressed) = self.log.pass(Instant::now()) {
            let topic = &self.subscription.topic;
            // The first byte is no place worth naming.
            let error = match error.offset {
                0 => error.kind.to_string(),
                _ => error.to_string(),
            };
            let (suppressed, fields) = (nonzero(suppressed), details().map(display));
            tracing::warn!(%topic, %error, suppressed, fields, "message rejected");
        }
    }
}

/// Decodes messages and accounts for them, in every form of delivery.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) subscription: Arc<Subscription>,
    rejections: Rejections,
    progress: Progress,
}

/// How far the reader is behind the publisher.
#[derive(Debug)]
struct Progress {
    last: Option<Header>,
    lag: Lag,
    log: LogLimit,
}

impl Progress {
    /// A message with this header is delivered.
    fn record(&mut self, subscription: &Subscription, header: &Header) {
        let counters = &subscription.counters;
        let now = wall_clock_ns();
        let age_ns = now.saturating_sub(header.timestamp_ns);
        counters.last_receive_ns.set(now);
        counters.age_ns.set(age_ns);
        let interval_ns = self.last.replace(*header).and_then(|last| {
            let elapsed = header.timestamp_ns.checked_sub(last.timestamp_ns)?;
            elapsed.checked_div(header.sequence.checked_sub(last.sequence)?)
        });
        counters.interval_ns.set(interval_ns.unwrap_or(0));
        if let Some(older_by) = self.lag.record(age_ns)
            && let Some(suppressed) = self.log.pass(Instant::now())
        {
            let (topic, behind) = (&*subscription.topic, counters.snapshot().behind);
            tracing::warn!(
                topic,
                ?older_by,
                behind,
                suppressed = nonzero(suppressed),
                "the reader is slower than the publisher and gets old messages: use Queue::Latest or \
                 KeepNewest, or a shorter callback"
            );
        }
    }
}

/// A callback that is running.
pub(super) struct Call {
    begun: Option<Instant>,
}

impl Delivery {
    pub(super) fn new(subscription: Arc<Subscription>) -> Self {
        let log = LogLimit::every(LAG_LOG_INTERVAL);
        let progress = Progress { last: None, lag: Lag::new(), log };
        Self { rejections: Rejections::new(&subscription), subscription, progress }
    }

    /// Decodes a sample and counts it; `None` for a message that is rejected.
    pub(super) fn decode<'s, M: Message + 'static>(
        &mut self,
        sample: &'s Sample<M>,
    ) -> Option<M::View<'s>> {
        let counters = &self.subscription.counters;
        let begun = counters.begin();
        match sample.message() {
            Ok(message) => {
                counters.decoded(begun);
                counters.received.add_alone(1);
                counters.received_bytes.add_alone(sample.len() as u64);
                self.progress.record(&self.subscription, &sample.header());
                Some(message)
            }
            Err(error) => {
                let fields = TypeInfo::of::<M>().fields;
                self.rejections.reject_with(error, || Some(compare(fields, sample)));
                None
            }
        }
    }

    /// Before a callback is called.
    pub(super) fn begin_call(&self) -> Call {
        Call { begun: self.subscription.counters.begin() }
    }

    /// After a callback has returned, with its error.
    pub(super) fn end_call(&self, call: Call, failure: Option<String>) {
        self.subscription.counters.called(call.begun);
        self.subscription.record_failure(failure);
    }
}
