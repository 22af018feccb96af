//! Statistics over rounds, and histograms of durations.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The median of samples, and the confidence interval of the true median.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    /// The lower end of the interval that holds the true median with a probability of at least 93 per
    /// cent, for any distribution. The smallest sample if there are fewer than five.
    pub(crate) low: f64,
    /// The upper end of this interval.
    pub(crate) high: f64,
}

impl Summary {
    /// The summary of at least one sample.
    pub(crate) fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
            _ => sorted[middle],
        };
        let cut = cut(sorted.len());
        Self { median, low: sorted[cut], high: sorted[sorted.len() - 1 - cut] }
    }
}

/// The number of samples outside the interval at each end of `count` samples, by the sign test: so
/// many of `count` fair coins show heads with a probability below 3.5 per cent.
fn cut(count: usize) -> usize {
    let mut term = 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut below = term;
    let mut cut = 0;
    while below < 0.035 && cut < count / 2 {
        term *= (count - cut) as f64 / (cut + 1) as f64;
        below += term;
        cut += 1;
    }
    cut.saturating_sub(1)
}

/// The ratios of the samples of two contenders, round by round.
pub(crate) fn ratio(samples: &[f64], others: &[f64]) -> Summary {
    let ratios: Vec<_> = samples.iter().zip(others).map(|(a, b)| a / b).collect();
    Summary::of(&ratios)
}

/// Percentiles in microseconds, of a histogram in nanoseconds.
pub(crate) fn percentiles<const N: usize>(
    histogram: &Histogram<u64>,
    wanted: [f64; N],
) -> [f64; N] {
    wanted.map(|percent| histogram.value_at_percentile(percent) as f64 / 1e3)
}

/// An empty histogram of nanoseconds, with three significant digits, up to one minute.
pub(crate) fn histogram() -> Histogram<u64> {
    let mut histogram =
        Histogram::new_with_max(60_000_000_000, 3).expect("the bounds are in order");
    // Longer durations count as one minute.
    histogram.auto(false);
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_sample_or_the_mean_of_the_two() {
        assert_eq!(Summary::of(&[3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(Summary::of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Summary::of(&[7.0]), Summary { median: 7.0, low: 7.0, high: 7.0 });
    }

    #[test]
    fn the_interval_follows_the_sign_test() {
        let samples = |count: u32| (1..=count).map(f64::from).collect::<Vec<_>>();
        let interval = |count| {
            let Summary { low, high, .. } = Summary::of(&samples(count));
            (low, high)
        };
        // Tables of the sign test: 93.8 per cent for five, 93.5 for eleven, 97.3 for 21.
        assert_eq!(interval(4), (1.0, 4.0));
        assert_eq!(interval(5), (1.0, 5.0));
        assert_eq!(interval(11), (3.0, 9.0));
        assert_eq!(interval(21), (6.0, 16.0));
    }

    #[test]
    fn a_ratio_compares_round_by_round() {
        assert_eq!(ratio(&[2.0, 20.0, 200.0], &[1.0, 10.0, 100.0]).median, 2.0);
    }

    #[test]
    fn percentiles_are_in_microseconds() {
        let mut histogram = histogram();
        for ns in 1..=1000 {
            histogram.saturating_record(ns * 1000);
        }
        let [p50, p99] = percentiles(&histogram, [50.0, 99.0]);
        assert!((p50 - 500.0).abs() < 2.0 && (p99 - 990.0).abs() < 2.0, "{p50} {p99}");
    }
}
