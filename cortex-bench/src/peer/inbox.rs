//! Where a receiver puts what came.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::{Run, monotonic_ns};
use crate::stats::{histogram, percentiles};

/// After this time without a message what is missing was lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a receiver says after a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Received {
    /// Messages, without those that were to warm up.
    pub(crate) count: u64,
    /// Between the last one of the warm-up and the last one.
    pub(crate) seconds: f64,
    /// Ages in microseconds, of a run that is timed: p50, p99, p99.9.
    pub(crate) ages_us: [f64; 3],
    /// Time on processors, since the run was asked for.
    pub(crate) cpu_seconds: f64,
}

/// Counts the messages of one subscriber, or of several together.
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
    /// From now on messages count.
    pub(super) fn expect(&self, run: Run, subscribers: u64) {
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

    /// Notes a message; the first eight bytes of its payload may say when it was sent.
    pub(super) fn take(&self, payload: &[u8]) {
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
        // A look at the clock is not for free; for what is lost at the end this is close enough.
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

    /// Waits until everything came, or nothing more.
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
            let waited = self.shared.is_done.wait_timeout(count, PATIENCE);
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
