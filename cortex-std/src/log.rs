//! Log lines: their rate and the causes of errors.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

/// An error with its whole cause chain, for log lines and messages to people.
///
/// # Examples
///
/// ```
/// use std::fs::File;
/// use cortex_std::{ErrorChain, PublishError};
///
/// fn report(error: &PublishError) {
///     // "cannot encode the message: the output has 10 bytes and 24 are needed"
///     eprintln!("{}", ErrorChain(error));
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ErrorChain<'e>(pub &'e (dyn Error + 'e));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// Limits a log line to one per interval, a second by default, and counts those left out.
#[derive(Debug)]
pub(crate) struct LogLimit {
    interval: Duration,
    last: Option<Instant>,
    suppressed: u64,
}

impl Default for LogLimit {
    fn default() -> Self {
        Self::every(Duration::from_secs(1))
    }
}

impl LogLimit {
    pub(crate) fn every(interval: Duration) -> Self {
        Self { interval, last: None, suppressed: 0 }
    }

    /// The number of lines left out since the last one; `None` where this line is left out, too.
    pub(crate) fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < self.interval) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// A number of suppressed lines as a field of a log line, which is left out where it is 0.
pub(crate) fn nonzero(suppressed: u64) -> Option<u64> {
    (suppressed > 0).then_some(suppressed)
}

/// Prints one line on stderr where the program has installed no `tracing` subscriber: for conditions that
/// a user must know of, and that are logged, too.
pub(crate) fn print_unless_logged(line: fmt::Arguments<'_>) {
    if !tracing::dispatcher::has_been_set() {
        eprintln!("cortex: {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_log_line_a_second_passes_with_the_number_left_out() {
        let mut limit = LogLimit::default();
        let start = Instant::now();
        assert_eq!(limit.pass(start), Some(0));
        assert_eq!(limit.pass(start), None);
        assert_eq!(limit.pass(start + Duration::from_millis(999)), None);
        assert_eq!(limit.pass(start + Duration::from_secs(1)), Some(2));
    }

    #[test]
    fn an_error_is_shown_with_every_cause() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot save")]
        struct Outer(#[source] std::io::Error);
        let inner = std::io::Error::other("disk full");
        assert_eq!(ErrorChain(&Outer(inner)).to_string(), "cannot save: disk full");
    }
}
