//! The latency of messages by stage.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::clock::wall_clock_ns;

/// The number of samples that subscribers keep unless their builder sets it.
const VARIABLE: &str = "CORTEX_TRACE_LATENCY";
/// Samples of one stage at most: 8 MiB.
const LIMIT: usize = 1 << 20;

/// The last times of each stage of a subscriber.
///
/// Units: every clock here counts nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Latency {
    /// From the header's time, which the publisher takes when it numbers the message, until the
    /// message was received here: encoding, queues and transport. Measured by the wall clocks of
    /// both machines; zero where the publisher's is ahead.
    pub receive: Samples,
    /// Reading the fields from the frames, and checking them.
    pub decode: Samples,
    /// From the call of the callback until it returned, or until its future was done. Empty without a
    /// callback.
    pub callback: Samples,
}

/// Durations, the oldest first.
///
/// # Examples
///
/// ```
/// # use cortex_std::SubscriberStats;
/// fn show(stats: &SubscriberStats) {
///     if let Some(worst) = stats.latency.callback.quantile(0.99) {
///         println!("99 of 100 calls took at most {worst:?}");
///     }
/// }
/// # show(&SubscriberStats::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Samples {
    times: Vec<Duration>,
}

impl Samples {
    /// The quantile `part`, from 0 to 1 (0.5 is the median): the least sample that this part of the samples
    /// does not exceed. `None` without a sample.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        // A part below 0, or none at all, becomes 0.
        let rank = (part * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1).min(last)).copied()
    }
}

impl Deref for Samples {
    type Target = [Duration];

    fn deref(&self) -> &[Duration] {
        &self.times
    }
}

/// The number of samples that the environment sets; 0 for none.
pub(crate) fn from_environment() -> usize {
    let Some(text) = std::env::var_os(VARIABLE) else { return 0 };
    let count = text.to_str().and_then(|text| text.trim().parse().ok());
    count.unwrap_or_else(|| {
        tracing::warn!(?text, "{VARIABLE} is not a number: latency is not traced");
        0
    })
}

/// Keeps the last times of each stage; each has one writer at a time.
#[derive(Debug)]
pub(crate) struct Trace {
    receive: Ring,
    decode: Ring,
    callback: Ring,
}

impl Trace {
    /// Keeps `count` samples of each stage; `None` for 0.
    pub(crate) fn new(count: usize) -> Option<Self> {
        let ring = || Ring::new(count.min(LIMIT));
        (count > 0).then(|| Self { receive: ring(), decode: ring(), callback: ring() })
    }

    /// A message with this timestamp was received now.
    pub(crate) fn received(&self, timestamp_ns: u64) {
        self.receive.push(Duration::from_nanos(wall_clock_ns().saturating_sub(timestamp_ns)));
    }

    /// Decoding, which began at `begun`, is done.
    pub(crate) fn decoded(&self, begun: Instant) {
        self.decode.push(begun.elapsed());
    }

    /// The callback, called at `begun`, is done.
    pub(crate) fn called(&self, begun: Instant) {
        self.callback.push(begun.elapsed());
    }

    pub(crate) fn snapshot(&self) -> Latency {
        Latency {
            receive: self.receive.samples(),
            decode: self.decode.samples(),
            callback: self.callback.samples(),
        }
    }
}

/// The last times, in nanoseconds; written by one thread while others read.
#[derive(Debug)]
struct Ring {
    slots: Box<[AtomicU64]>,
    /// Samples written since the start.
    count: AtomicU64,
}

impl Ring {
    /// A ring of `len` slots, at least one.
    fn new(len: usize) -> Self {
        Self { slots: (0..len).map(|_| AtomicU64::new(0)).collect(), count: AtomicU64::new(0) }
    }

    fn push(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let count = self.count.load(Ordering::Relaxed);
        if let Some(slot) = self.slot(count) {
            slot.store(nanos, Ordering::Relaxed);
        }
        self.count.store(count.wrapping_add(1), Ordering::Release);
    }

    fn samples(&self) -> Samples {
        let count = self.count.load(Ordering::Acquire);
        let oldest = count.saturating_sub(self.slots.len() as u64);
        let slots = (oldest..count).filter_map(|at| self.slot(at));
        let times = slots.map(|slot| Duration::from_nanos(slot.load(Ordering::Relaxed)));
        Samples { times: times.collect() }
    }

    fn slot(&self, at: u64) -> Option<&AtomicU64> {
        let index = at.checked_rem(self.slots.len() as u64)?;
        self.slots.get(usize::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_keeps_the_last_samples_in_order() {
        let ring = Ring::new(3);
        assert_eq!(ring.samples(), Samples::default());
        let kept = |from: u64, to: u64| (from..to).map(Duration::from_nanos).collect::<Vec<_>>();
        for nanos in 0..10 {
            ring.push(Duration::from_nanos(nanos));
            assert_eq!(*ring.samples(), kept((nanos + 1).saturating_sub(3), nanos + 1));
        }
        ring.push(Duration::MAX);
        assert_eq!(ring.samples().last(), Some(&Duration::from_nanos(u64::MAX)));
    }

    #[test]
    fn quantiles_are_samples_and_no_part_is_too_odd() {
        let times = (1..=10).rev().map(Duration::from_millis).collect();
        let samples = Samples { times };
        let at = |part| samples.quantile(part).unwrap().as_millis();
        assert_eq!([0.0, 0.05, 0.5, 0.51, 0.9, 0.99, 1.0].map(at), [1, 1, 5, 6, 9, 10, 10]);
        assert_eq!([-1.0, f64::NAN, 2.0, f64::INFINITY].map(at), [1, 1, 10, 10]);
        assert_eq!(Samples::default().quantile(0.5), None);
    }

    #[test]
    fn a_time_from_the_future_is_no_time_at_all() {
        let trace = Trace::new(2).unwrap();
        trace.received(u64::MAX);
        assert_eq!(*trace.snapshot().receive, [Duration::ZERO]);
        assert!(Trace::new(0).is_none());
        assert_eq!(Trace::new(usize::MAX).unwrap().receive.slots.len(), LIMIT);
    }
}
