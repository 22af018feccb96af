//! What many rounds say together.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The median of some samples, and between what the true one lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    /// The lower end of the interval that holds the true median with a probability of 93 per cent or
    /// more, whatever the distribution. Of fewer than five samples: the smallest.
    pub(crate) low: f64,
    /// Its upper end.
    pub(crate) high: f64,
}

impl Summary {
    /// Of at least one sample.
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

/// How many samples may be left out at each end of `count`: as many smaller ones as a fair coin shows
/// heads with a probability below 3.5 per cent.
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

/// Of two contenders that took turns: how the first one's samples stand to the second one's, round by
/// round.
pub(crate) fn ratio(samples: &[f64], others: &[f64]) -> Summary {
    let ratios: Vec<_> = samples.iter().zip(others).map(|(a, b)| a / b).collect();
    Summary::of(&ratios)
}

/// Percentiles of durations in nanoseconds, in microseconds.
pub(crate) fn percentiles<const N: usize>(
    histogram: &Histogram<u64>,
    wanted: [f64; N],
) -> [f64; N] {
    wanted.map(|percent| histogram.value_at_percentile(percent) as f64 / 1e3)
}

/// An empty histogram: three digits, up to a minute.
pub(crate) fn histogram() -> Histogram<u64> {
    let mut histogram =
        Histogram::new_with_max(60_000_000_000, 3).expect("the bounds are in order");
    // What is above counts as a minute.
    histogram.auto(false);
    histogram
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        assert_eq!(Summary::of(&[3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(Summary::of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Summary::of(&[7.0]), Summary { median: 7.0, low: 7.0, high: 7.0 });
    }

    #[test]
    fn the_interval_leaves_out_what_is_improbable() {
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
