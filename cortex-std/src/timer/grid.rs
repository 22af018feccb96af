//! The times of a timer's ticks, without a clock.

use std::time::Duration;

/// The longest period, about thirty years: a tick that far away never comes.
pub(super) const MAX_PERIOD: Duration = Duration::from_secs(1_000_000_000);

/// What happens to ticks whose time passes while the callback runs.
///
/// `Burst` is the default, as in Python and in tokio: no tick is lost. Where a tick acts on the world, such as
/// in a control loop, `Skip` is right: a burst would send many commands at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MissedTicks {
    /// They follow at once, one after the other, until the timer has caught up: as in Python, and as
    /// `tokio::time::interval`.
    #[default]
    Burst,
    /// They are skipped; the next one comes at its place in the grid: as in ROS 2.
    Skip,
    /// The grid moves: the next one comes one period after the callback returned.
    Delay,
}

/// One tick of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// Index of the tick in the grid, from 0; skipped ticks count.
    pub index: u64,
    /// Time from the tick until the callback was called.
    pub late: Duration,
    /// Ticks since the start whose time had passed before the previous one was done.
    pub overruns: u64,
}

impl Tick {
    /// A tick that is on time, for tests of callbacks.
    #[must_use]
    pub const fn new(index: u64) -> Self {
        Self { index, late: Duration::ZERO, overruns: 0 }
    }
}

/// The times of the ticks, as durations since the start of the timer, for any clock.
#[derive(Debug)]
pub(super) struct Grid {
    pub(super) next: Duration,
    period: Duration,
    missed: MissedTicks,
    index: u64,
    pub(super) overruns: u64,
}

impl Grid {
    /// The grid that begins at `first`.
    pub(super) fn new(first: Duration, period: Duration, missed: MissedTicks) -> Self {
        Self { next: first, period, missed, index: 0, overruns: 0 }
    }

    pub(super) fn tick(&self, now: Duration) -> Tick {
        let late = now.saturating_sub(self.next);
        Tick { index: self.index, late, overruns: self.overruns }
    }

    /// Advances to the tick after the one that is done at `now`.
    pub(super) fn advance(&mut self, now: Duration) {
        self.index = self.index.saturating_add(1);
        self.next = self.next.saturating_add(self.period);
        let behind = now.saturating_sub(self.next);
        if behind.is_zero() {
            return;
        }
        let (behind, period) = (behind.as_nanos(), self.period.as_nanos().max(1));
        // A tick that is due exactly now is not missed.
        let passed = u64::try_from(behind.div_ceil(period)).unwrap_or(u64::MAX);
        match self.missed {
            // Each missed tick is counted in its turn.
            MissedTicks::Burst => self.overruns = self.overruns.saturating_add(1),
            MissedTicks::Skip => {
                self.overruns = self.overruns.saturating_add(passed);
                self.index = self.index.saturating_add(passed);
                // Nanoseconds of less than a period, which fit.
                let ahead = u64::try_from(behind.next_multiple_of(period) - behind);
                self.next = now.saturating_add(Duration::from_nanos(ahead.unwrap_or(0)));
            }
            MissedTicks::Delay => {
                self.overruns = self.overruns.saturating_add(passed);
                self.next = now.saturating_add(self.period);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(10);
    const ALL: [MissedTicks; 3] = [MissedTicks::Burst, MissedTicks::Skip, MissedTicks::Delay];

    fn grid_after(busy: Duration, missed: MissedTicks) -> (Duration, u64, u64) {
        let mut grid = Grid::new(PERIOD, PERIOD, missed);
        // The first tick is on time and its callback takes `busy`.
        grid.advance(grid.next + busy);
        (grid.next, grid.index, grid.overruns)
    }

    #[test]
    fn a_quick_callback_stays_on_the_grid() {
        for missed in ALL {
            for busy in [Duration::ZERO, PERIOD - Duration::from_nanos(1), PERIOD] {
                assert_eq!(grid_after(busy, missed), (PERIOD * 2, 1, 0));
            }
        }
    }

    #[test]
    fn missed_ticks_burst_are_skipped_or_delay_the_grid() {
        let busy = Duration::from_millis(35);
        assert_eq!(grid_after(busy, MissedTicks::Burst), (PERIOD * 2, 1, 1));
        // Ticks at 20, 30 and 40 ms passed; the next one is at 50.
        assert_eq!(grid_after(busy, MissedTicks::Skip), (PERIOD * 5, 4, 3));
        assert_eq!(grid_after(busy, MissedTicks::Delay), (PERIOD + busy + PERIOD, 1, 3));
        // The tick at 40 ms is due exactly now.
        let busy = Duration::from_millis(30);
        assert_eq!(grid_after(busy, MissedTicks::Skip), (PERIOD * 4, 3, 2));
    }

    #[test]
    fn extreme_periods_and_pauses_do_not_overflow() {
        for missed in ALL {
            for period in [Duration::from_nanos(1), MAX_PERIOD] {
                let mut grid = Grid::new(period, period, missed);
                for now in [MAX_PERIOD, MAX_PERIOD * 10, Duration::MAX, Duration::MAX] {
                    let _ = grid.tick(now);
                    grid.advance(now);
                }
            }
        }
    }
}
