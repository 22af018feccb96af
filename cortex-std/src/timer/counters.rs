//! The counters of a timer.

use std::time::Duration;

use crate::stats::Counter;
use crate::stats::histogram::Histogram;
use crate::stats::node::{Counted, NodeStats, TimerStats};

/// Counters behind [`TimerStats`].
#[derive(Debug)]
pub(super) struct Counters {
    period: Duration,
    thread: Option<String>,
    pub(super) ticks: Counter,
    pub(super) overruns: Counter,
    pub(super) failures: Counter,
    pub(super) late: Histogram,
}

impl Counters {
    pub(super) fn new(period: Duration, thread: Option<String>) -> Self {
        let [ticks, overruns, failures] = Default::default();
        Self { period, thread, ticks, overruns, failures, late: Histogram::new() }
    }

    /// A tick is done; `overruns` is the sum so far.
    pub(super) fn record_tick(&self, overruns: u64) {
        self.overruns.set(overruns);
        self.ticks.add(1);
    }

    pub(super) fn snapshot(&self) -> TimerStats {
        TimerStats {
            period: self.period,
            thread: self.thread.clone(),
            ticks: self.ticks.value(),
            overruns: self.overruns.value(),
            failures: self.failures.value(),
            late: self.late.quantiles(),
        }
    }
}

impl Counted for Counters {
    fn add_to(&self, stats: &mut NodeStats) {
        stats.timers.push(self.snapshot());
    }
}
