//! Distributions of times, and sizes.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value as Json, json};

/// Times in nanoseconds, of any length: percentiles to three significant digits, all else exact.
#[derive(Debug, Clone)]
pub(super) struct Times {
    histogram: Option<Histogram<u64>>,
    min_ns: u64,
    max_ns: u64,
    /// The first time. Sums of differences from it lose no digits of long times.
    first_ns: u64,
    /// Mean of the differences, and the sum of their squared distances from it, by Welford's method.
    mean: f64,
    squares: f64,
}

/// The distribution of times, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) min: f64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// Standard deviation.
    pub(crate) jitter: f64,
}

/// Sizes of messages in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sizes {
    pub(crate) min: usize,
    pub(crate) mean: f64,
    pub(crate) max: usize,
}

impl Distribution {
    pub(crate) fn to_json(distribution: Option<Self>) -> Json {
        distribution.map_or(Json::Null, |distribution| {
            json!({
                "min_s": distribution.min,
                "mean_s": distribution.mean,
                "p50_s": distribution.p50,
                "p90_s": distribution.p90,
                "p99_s": distribution.p99,
                "max_s": distribution.max,
                "jitter_s": distribution.jitter,
            })
        })
    }
}

impl Times {
    pub(super) fn new() -> Self {
        // It grows with the longest time.
        Self {
            histogram: Histogram::new(3).ok(),
            min_ns: u64::MAX,
            max_ns: 0,
            first_ns: 0,
            mean: 0.0,
            squares: 0.0,
        }
    }

    pub(super) fn record(&mut self, ns: u64) {
        if let Some(histogram) = &mut self.histogram
            && histogram.record(ns).is_ok()
        {
            self.min_ns = self.min_ns.min(ns);
            self.max_ns = self.max_ns.max(ns);
            if histogram.len() == 1 {
                self.first_ns = ns;
            }
            let distance = ns.abs_diff(self.first_ns) as f64;
            let value = if ns < self.first_ns { -distance } else { distance };
            let before = value - self.mean;
            self.mean += before / histogram.len() as f64;
            self.squares += before * (value - self.mean);
        }
    }

    pub(super) fn distribution(&self) -> Option<Distribution> {
        let histogram = self.histogram.as_ref().filter(|times| !times.is_empty())?;
        let seconds = |ns: u64| ns as f64 / 1e9;
        // A percentile is the upper end of its class, which may exceed the longest time.
        let at = |part| seconds(histogram.value_at_quantile(part).clamp(self.min_ns, self.max_ns));
        Some(Distribution {
            min: seconds(self.min_ns),
            mean: (self.first_ns as f64 + self.mean) / 1e9,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: seconds(self.max_ns),
            jitter: (self.squares / histogram.len() as f64).sqrt() / 1e9,
        })
    }
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_jitter_are_exact_however_long_the_times_are() {
        let mut times = Times::new();
        // Clocks that differ by an hour; the messages take 1, 3 and 5 ms.
        for ms in [1, 3, 5] {
            times.record(3_600_000_000_000 + ms * 1_000_000);
        }
        let found = times.distribution().expect("times");
        assert!((found.mean - 3600.003).abs() < 1e-9, "{found:?}");
        assert!((found.jitter - 0.001_632_993).abs() < 1e-9, "{found:?}");
        assert!(found.min <= found.mean && found.mean <= found.max);
    }

    #[test]
    fn no_time_is_capped() {
        let mut times = Times::new();
        assert_eq!(times.distribution(), None);
        // 56 years, the age of a message whose timestamp counts from 1970.
        for ns in [1_795_826_055_123_456_789, 3_601_000_000_000, 0] {
            times.record(ns);
        }
        let found = times.distribution().expect("times");
        assert_eq!((found.min, found.max), (0.0, 1_795_826_055.123_456_8));
        assert!((found.p50 / 3601.0 - 1.0).abs() < 1e-3, "{found:?}");
        assert!(found.p99 <= found.max && found.p50 >= found.min);
    }
}
