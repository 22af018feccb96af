//! The times at which messages are published.

use std::time::{Duration, Instant};

/// A delay that is caught up, so that rates beyond the resolution of a sleep are reached.
const CAUGHT_UP: Duration = Duration::from_millis(10);

/// A grid of times with a constant period. Times that were missed, because the process was stopped or
/// the machine was too slow, are skipped: a receiver gets no burst of outdated commands.
#[derive(Debug)]
pub(crate) struct Pace {
    period: Duration,
    next: Instant,
    skipped: u64,
}

impl Pace {
    /// A grid whose first time is `now`.
    pub(crate) fn new(rate_hz: f64, now: Instant) -> Self {
        // The shortest period keeps the division below from failing.
        let period = Duration::from_secs_f64(1.0 / rate_hz).max(Duration::from_nanos(1));
        Self { period, next: now, skipped: 0 }
    }

    /// The time of the next message, for a caller that has published one `now`.
    pub(crate) fn advance(&mut self, now: Instant) -> Instant {
        self.next += self.period;
        let late = now.saturating_duration_since(self.next);
        if late > self.period.max(CAUGHT_UP) {
            let missed = late.as_nanos() / self.period.as_nanos() + 1;
            let time = u64::try_from(missed * self.period.as_nanos()).unwrap_or(u64::MAX);
            self.next += Duration::from_nanos(time);
            self.skipped = self.skipped.saturating_add(u64::try_from(missed).unwrap_or(u64::MAX));
        }
        self.next
    }

    /// The number of times that were skipped.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_times_are_skipped_and_the_grid_stays() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(100.0, start);
        assert_eq!(pace.advance(at(0)), at(10));
        assert_eq!(pace.advance(at(10)), at(20));
        // Stopped for 20 seconds.
        assert_eq!(pace.advance(at(20_023)), at(20_030));
        assert_eq!(pace.skipped(), 2000);
        assert_eq!(pace.advance(at(20_031)), at(20_040));
        assert_eq!(pace.skipped(), 2000);
    }

    #[test]
    fn a_short_delay_is_caught_up() {
        let start = Instant::now();
        let at = |us| start + Duration::from_micros(us);
        let mut pace = Pace::new(10_000.0, start);
        let times: Vec<_> = (0..5).map(|_| pace.advance(at(800))).collect();
        assert_eq!(times, [100, 200, 300, 400, 500].map(at));
        assert_eq!(pace.skipped(), 0);
    }
}
