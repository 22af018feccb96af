//! Detecting that no message arrives.

use std::time::{Duration, Instant};

/// Is called with the time for which no message arrived.
pub(super) type SilenceCallback = Box<dyn FnMut(Duration) + Send>;

/// Detects each silence once: no message within the limit.
pub(super) struct Deadline {
    limit: Duration,
    last: Instant,
    is_reported: bool,
    pub(super) callback: SilenceCallback,
}

impl Deadline {
    pub(super) fn new(limit: Duration, callback: SilenceCallback) -> Self {
        Self { limit, last: Instant::now(), is_reported: false, callback }
    }

    /// When the silence is to be reported, unless it was.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.is_reported { None } else { self.last.checked_add(self.limit) }
    }

    /// A message arrived.
    pub(super) fn record_message(&mut self) {
        self.last = Instant::now();
        self.is_reported = false;
    }

    /// The length of the silence, once for each that exceeds the limit.
    pub(super) fn check(&mut self, now: Instant) -> Option<Duration> {
        self.due().filter(|&due| due <= now)?;
        self.is_reported = true;
        Some(now.saturating_duration_since(self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_reported_once_until_a_message_arrives() {
        let limit = Duration::from_millis(10);
        let mut deadline = Deadline::new(limit, Box::new(|_| {}));
        let start = deadline.last;
        assert_eq!(deadline.check(start + limit / 2), None);
        assert_eq!(deadline.check(start + limit), Some(limit));
        assert_eq!(deadline.check(start + limit * 3), None);
        assert_eq!(deadline.due(), None);
        deadline.record_message();
        assert_eq!(deadline.due(), Some(deadline.last + limit));
        // A limit beyond what the clock can represent is no limit.
        assert_eq!(Deadline::new(Duration::MAX, Box::new(|_| {})).due(), None);
    }
}
