//! Detecting that a reader is slower than the publisher.

use std::time::Duration;

/// The growth of the age of delivered messages from which on the reader is reported.
const LIMIT_NS: u64 = 1_000_000_000;

/// Compares the age of each delivered message with the least one so far, so that the offset between two
/// machines' clocks does not count.
#[derive(Debug)]
pub(super) struct Lag {
    least_ns: u64,
    /// Whether the previous message was late, too: a single one may be that of a latched publisher.
    was_late: bool,
}

impl Lag {
    pub(super) fn new() -> Self {
        Self { least_ns: u64::MAX, was_late: false }
    }

    /// The growth of the age, if it exceeds the limit for this message and for the previous one.
    pub(super) fn record(&mut self, age_ns: u64) -> Option<Duration> {
        self.least_ns = self.least_ns.min(age_ns);
        let grown_ns = age_ns.saturating_sub(self.least_ns);
        let is_late = grown_ns > LIMIT_NS;
        let was_late = std::mem::replace(&mut self.was_late, is_late);
        (is_late && was_late).then(|| Duration::from_nanos(grown_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_growing_age_is_reported_and_a_constant_offset_of_clocks_is_not() {
        let mut lag = Lag::new();
        for _ in 0..10 {
            assert_eq!(lag.record(3600 * SECOND), None);
        }
        let grown: Vec<_> = (0..5).map(|step| lag.record((3600 + step) * SECOND)).collect();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(grown, [None, None, None, seconds(3), seconds(4)]);
    }

    #[test]
    fn the_old_value_of_a_latched_publisher_is_not_reported() {
        let mut lag = Lag::new();
        for age in [3600 * SECOND, 1000, 2000, 60 * SECOND, 1000, u64::MAX, 0] {
            assert_eq!(lag.record(age), None);
        }
    }
}
