//! A histogram of durations in constant memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of each power of two: a quantile is too large by at most a sixteenth.
const STEPS: usize = 16;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Durations from 2^44 ns on, almost five hours, share the last bucket.
const MAX_BITS: u32 = 44;
const BUCKETS: usize = STEPS * (MAX_BITS - STEP_BITS + 1) as usize;

/// Counts durations; any thread may add one.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Box<[AtomicU64]>,
    max_ns: AtomicU64,
}

/// Quantiles of the durations that were counted so far: zero without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Quantiles {
    /// The median; too large by at most a sixteenth.
    pub p50: Duration,
    /// 99 of 100 durations are at most this long; too large by at most a sixteenth.
    pub p99: Duration,
    /// The longest duration.
    pub max: Duration,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        let buckets = (0..BUCKETS).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, max_ns: AtomicU64::new(0) }
    }

    pub(crate) fn record(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.max_ns.fetch_max(nanos, Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(bucket_of(nanos)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        let counts: Vec<u64> =
            self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let max_ns = self.max_ns.load(Ordering::Relaxed);
        let total: u64 = counts.iter().sum();
        let at = |percent: u64| {
            let rank = total.saturating_mul(percent).div_ceil(100);
            let mut passed = 0_u64;
            let reached = counts.iter().position(|count| {
                passed = passed.saturating_add(*count);
                passed >= rank
            });
            let upper_ns = reached.map_or(max_ns, last_of).min(max_ns);
            Duration::from_nanos(upper_ns)
        };
        Quantiles { p50: at(50), p99: at(99), max: Duration::from_nanos(max_ns) }
    }
}

/// The bucket of a duration: exact below 16 ns; then 16 for each power of two.
fn bucket_of(nanos: u64) -> usize {
    let nanos = nanos.min((1 << MAX_BITS) - 1);
    // The bits below the leading five.
    let shift = nanos.checked_ilog2().unwrap_or(0).saturating_sub(STEP_BITS);
    let step = usize::try_from(nanos >> shift).unwrap_or(0);
    shift as usize * STEPS + step
}

/// The longest duration of a bucket, in nanoseconds.
fn last_of(bucket: usize) -> u64 {
    if bucket + 1 >= BUCKETS {
        return u64::MAX;
    }
    let shift = (bucket / STEPS).saturating_sub(1);
    let step = (bucket - shift * STEPS) as u64;
    ((step + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_in_the_bucket_that_ends_at_or_after_it() {
        let near = |bits: u32| (-2..3).map(move |off| (1_u64 << bits).saturating_add_signed(off));
        for nanos in (0..MAX_BITS).flat_map(near).chain([0, 999, 12_345_678]) {
            let nanos = nanos.min((1 << MAX_BITS) - 1);
            let bucket = bucket_of(nanos);
            assert!(bucket < BUCKETS, "{nanos}");
            assert!(last_of(bucket) >= nanos, "{nanos}");
            assert!(bucket == 0 || last_of(bucket - 1) < nanos, "{nanos}");
            let is_last = bucket + 1 == BUCKETS;
            assert!(is_last || last_of(bucket) - nanos <= nanos / STEPS as u64, "{nanos}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_close_and_the_maximum_is_exact() {
        let histogram = Histogram::new();
        assert_eq!(histogram.quantiles(), Quantiles::default());
        for micros in 1..=100 {
            histogram.record(Duration::from_micros(micros));
        }
        let Quantiles { p50, p99, max } = histogram.quantiles();
        let close = |time: Duration, micros: u64| {
            let exact = Duration::from_micros(micros);
            time >= exact && time <= exact + exact / 16
        };
        assert!(close(p50, 50) && close(p99, 99), "{p50:?} {p99:?}");
        assert_eq!(max, Duration::from_micros(100));
        histogram.record(Duration::MAX);
        assert_eq!(histogram.quantiles().max, Duration::from_nanos(u64::MAX));
    }
}
