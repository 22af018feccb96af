//! The time on a board without a clock of its own, from the hellos of the other end.

use crate::stream::link::hello::Hello;

/// Nanoseconds by which a clock of 100 ppm may be off after a nanosecond, as a divisor.
const DRIFT_DIVISOR: u64 = 10_000;

/// A step of the other end's clock beyond this is followed at once.
const STEP_NS: u64 = 1_000_000_000;

/// The time of the other end of a link, kept by a monotonic counter between its hellos.
///
/// A hello takes its way over the line, and is late by that time: 8 ms for 90 bytes at 115,200 baud,
/// and more if it waits for a longer frame. The clock is therefore set by the least late of the
/// hellos, and moved back by 100 ppm of the time since then, which is what two quartzes differ by. So
/// it is behind by the least delay of a hello and 0.1 ms for each second since that hello. Steps of a
/// second or more are followed at once.
///
/// # Examples
///
/// ```
/// use cortex_wire::link::{Hello, WallClock};
///
/// let mut clock = WallClock::new();
/// // Before the first hello the time is unknown: the gateway sets it to that of arrival.
/// assert_eq!(clock.time_ns(5_000_000), 0);
/// let time_ns = Some(1_700_000_000_000_000_000);
/// let hello = Hello { node: "gateway", epoch: 1, topics: Default::default(), time_ns };
/// clock.set_by(&hello, 10_000_000);
/// // A sample of four milliseconds before.
/// assert_eq!(clock.time_ns(6_000_000), 1_699_999_999_996_000_000);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct WallClock {
    /// What is added to the counter, modulo 2^64, and the counter when that was set.
    offset: Option<(u64, u64)>,
}

impl WallClock {
    /// A clock that does not know the time.
    #[must_use]
    pub const fn new() -> Self {
        Self { offset: None }
    }

    /// Sets the clock by a hello, which was received at `counter_ns`.
    ///
    /// Units: nanoseconds of any monotonic counter, such as the time since start.
    pub fn set_by(&mut self, hello: &Hello<'_>, counter_ns: u64) {
        let Some(time_ns) = hello.time_ns else { return };
        let found = time_ns.wrapping_sub(counter_ns);
        let Some((offset, set_ns)) = self.offset else {
            self.offset = Some((found, counter_ns));
            return;
        };
        let drift = counter_ns.saturating_sub(set_ns).checked_div(DRIFT_DIVISOR).unwrap_or(0);
        let lowest = offset.wrapping_sub(drift);
        // A hello that is less late than the clock is behind makes the difference small and positive.
        let ahead = found.wrapping_sub(lowest);
        let is_step = ahead.min(ahead.wrapping_neg()) >= STEP_NS;
        if is_step || ahead < STEP_NS {
            self.offset = Some((found, counter_ns));
        }
    }

    /// The time at `counter_ns`, as nanoseconds since the Unix epoch; 0 if it is unknown, which the
    /// gateway replaces by the time of arrival.
    #[must_use]
    pub fn time_ns(&self, counter_ns: u64) -> u64 {
        match self.offset {
            None => 0,
            Some((offset, set_ns)) => {
                let drift = counter_ns.saturating_sub(set_ns).checked_div(DRIFT_DIVISOR);
                counter_ns.wrapping_add(offset).wrapping_sub(drift.unwrap_or(0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_700_000_000 * SECOND;

    fn set(clock: &mut WallClock, time_ns: u64, counter_ns: u64) {
        let time_ns = Some(time_ns);
        let hello = Hello { node: "g", epoch: 1, topics: Default::default(), time_ns };
        clock.set_by(&hello, counter_ns);
    }

    #[test]
    fn follows_the_least_late_hello() {
        let mut clock = WallClock::new();
        let delays = [9, 30, 4, 80, 12, 5].map(|ms| ms * 1_000_000);
        let mut least = u64::MAX;
        for (second, delay) in (0..).zip(delays) {
            set(&mut clock, START + second * SECOND, second * SECOND + delay);
            least = least.min(delay);
            let late = START + second * SECOND + delay - clock.time_ns(second * SECOND + delay);
            assert!((least..=least + 600_000).contains(&late), "{second}: {late}");
        }
    }

    #[test]
    fn follows_a_counter_that_drifts_and_steps_of_the_clock() {
        for ppm in [-90_i64, 90] {
            let mut clock = WallClock::new();
            for second in 0..3600 {
                let counter = second * SECOND;
                let counter = counter.saturating_add_signed(second as i64 * ppm * 1000);
                set(&mut clock, START + second * SECOND, counter + 4_000_000);
                let error = clock.time_ns(counter).abs_diff(START + second * SECOND);
                assert!(error < 5_000_000, "{ppm} ppm at {second} s: {error}");
            }
        }
        let mut clock = WallClock::new();
        set(&mut clock, 5 * SECOND, SECOND);
        assert_eq!(clock.time_ns(2 * SECOND), 6 * SECOND - 100_000);
        for time in [START, 7 * SECOND] {
            set(&mut clock, time, 3 * SECOND);
            assert_eq!(clock.time_ns(3 * SECOND), time);
        }
    }
}
