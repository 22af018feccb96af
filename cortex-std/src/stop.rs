//! Stop tokens.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::transport::{Interrupt, SocketError};

/// A token that stops the threads which hold a clone of it, also while they wait.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use cortex_std::StopToken;
///
/// let stop = StopToken::new()?;
/// let token = stop.clone();
/// let worker = std::thread::spawn(move || {
///     while !token.wait_timeout(Duration::from_millis(10)) {
///         // Every ten milliseconds, until it is stopped.
///     }
/// });
/// stop.stop();
/// # worker.join().map_err(|_| "it panicked")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct StopToken {
    pub(crate) interrupt: Interrupt,
}

impl StopToken {
    /// A token that is not stopped.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left.
    pub fn new() -> Result<Self, SocketError> {
        Ok(Self { interrupt: Interrupt::new()? })
    }

    /// Stops all clones. Callable from any thread, any number of times.
    pub fn stop(&self) {
        self.interrupt.wake();
    }

    /// Whether [`stop`](Self::stop) was called.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.interrupt.is_woken()
    }

    /// Blocks until the token is stopped, at most for `timeout`; returns whether it is stopped.
    #[must_use = "true means stop"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if self.is_stopped() {
                return true;
            }
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            let left = left.map(timespec);
            let fd = self.interrupt.fd();
            // A signal only repeats the loop; no other error is possible with these arguments.
            let _ = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], left.as_ref());
        }
    }
}

/// A duration as the system's type; the longest one where it does not fit.
pub(crate) fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_the_time_or_with_the_stop() {
        let token = StopToken::new().unwrap();
        let start = Instant::now();
        assert!(!token.wait_timeout(Duration::from_millis(20)));
        assert!(start.elapsed() >= Duration::from_millis(20));
        assert!(!token.wait_timeout(Duration::ZERO));
        let stop = token.clone();
        let stopper = std::thread::spawn(move || stop.stop());
        // Without limit, but for the other thread.
        assert!(token.wait_timeout(Duration::MAX));
        assert!(token.wait_timeout(Duration::ZERO));
        stopper.join().unwrap();
    }
}
