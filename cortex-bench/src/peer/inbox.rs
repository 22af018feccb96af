//! The statistics of received messages.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::clock::monotonic_ns;
use super::protocol::Run;
use crate::stats::{histogram, percentiles};

/// A run ends after so long without a message: missing messages are lost.
const SILENCE: Duration = Duration::from_secs(2);

/// The event of the subscriber after a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Received {
    /// Received messages without the warm-up.
    pub(crate) count: u64,
    /// Time between the last message of the warm-up and the last message.
    pub(crate) seconds: f64,
    /// Ages in microseconds, p50, p99 and p99.9; zero if the run is not timed.
    pub(crate) ages_us: [f64; 3],
    /// CPU time of the process since the request.
    pub(crate) cpu_seconds: f64,
}

/// Counts the messages of all subscribers of a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Inbox {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    count: Mutex<Option<Count>>,
    is_done: Condvar,
}

#[derive(Debug)]
struct Count {
    warmup: u64,
    last: u64,
    seen: u64,
    begin: Instant,
    end: Instant,
    ages: Option<Histogram<u64>>,
}

impl Inbox {
    /// Starts a run.
    pub(super) fn start(&self, run: Run, subscribers: u64) {
        let now = Instant::now();
        *self.lock() = Some(Count {
            warmup: run.warmup * subscribers,
            last: (run.warmup + run.count) * subscribers,
            seen: 0,
            begin: now,
            end: now,
            ages: run.is_timed.then(histogram),
        });
    }

    /// Records a message. In a timed run the first eight bytes of its payload are the time of sending.
    pub(super) fn record(&self, payload: &[u8]) {
        let mut count = self.lock();
        let Some(count) = &mut *count else { return };
        count.seen += 1;
        let Count { seen, warmup, last, .. } = *count;
        if seen > warmup
            && let Some(ages) = &mut count.ages
            && let Some(sent) = payload.first_chunk()
        {
            ages.saturating_record(monotonic_ns().saturating_sub(u64::from_le_bytes(*sent)));
        }
        // Reading the clock is not free. Every 64 messages suffice if the last ones are lost.
        if seen == warmup || seen == last || seen.is_multiple_of(64) {
            count.end = Instant::now();
            if seen <= warmup {
                count.begin = count.end;
            }
            if seen == last {
                self.shared.is_done.notify_one();
            }
        }
    }

    /// Waits for the end of the run; returns count, seconds and ages.
    pub(super) fn wait(&self) -> (u64, f64, [f64; 3]) {
        let mut count = self.lock();
        let mut before = 0;
        loop {
            let seen = count.as_ref().map_or(0, |count| count.seen);
            let is_done = count.as_ref().is_none_or(|count| count.seen >= count.last);
            if is_done || (seen > 0 && seen == before) {
                break;
            }
            before = seen;
            let waited = self.shared.is_done.wait_timeout(count, SILENCE);
            count = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let Some(count) = count.take() else { return (0, 0.0, [0.0; 3]) };
        let seconds = count.end.duration_since(count.begin).as_secs_f64();
        let ages = count.ages.map_or([0.0; 3], |ages| percentiles(&ages, [50.0, 99.0, 99.9]));
        (count.seen.saturating_sub(count.warmup), seconds, ages)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Count>> {
        self.shared.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
