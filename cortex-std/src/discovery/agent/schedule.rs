//! When the agent sends a request again.

use std::time::{Duration, Instant};

/// First and longest pause before an attempt is repeated.
const RETRY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// When a request is due: after a failure with growing pauses, after a success at an interval.
#[derive(Debug)]
pub(super) struct Schedule {
    /// When the next attempt is due.
    pub(super) due: Instant,
    pause: Duration,
    /// Interval of the checks while all is well.
    interval: Duration,
}

impl Schedule {
    /// Due at once.
    pub(super) fn new(interval: Duration) -> Self {
        Self { due: Instant::now(), pause: RETRY.0, interval }
    }

    /// Makes the next attempt due at once.
    pub(super) fn set_due_now(&mut self) {
        *self = Self::new(self.interval);
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// After a failure: the next attempt is due after a pause that doubles each time.
    pub(super) fn retry(&mut self) {
        self.due = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(RETRY.1);
    }

    /// After a success: the next check is due after the interval.
    pub(super) fn succeed(&mut self) {
        self.due = Instant::now() + self.interval;
        self.pause = RETRY.0;
    }
}
