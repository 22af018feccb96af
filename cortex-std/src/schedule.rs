//! When somebody who asks again and again asks next.

use std::time::{Duration, Instant};

/// First and longest pause before asking again for what is not there yet.
const RETRY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// When something is looked at again.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// When it is.
    pub(crate) due: Instant,
    pause: Duration,
    /// How often it is looked at when it works.
    review: Duration,
}

impl Schedule {
    pub(crate) fn new(review: Duration) -> Self {
        Self { due: Instant::now(), pause: RETRY.0, review }
    }

    /// Now.
    pub(crate) fn hurry(&mut self) {
        *self = Self::new(self.review);
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// Soon, and each time a little later.
    pub(crate) fn retry(&mut self) {
        self.due = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(RETRY.1);
    }

    /// It works: look again in a while.
    pub(crate) fn review(&mut self) {
        self.due = Instant::now() + self.review;
        self.pause = RETRY.0;
    }
}
