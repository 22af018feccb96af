//! Waiting until a publisher has subscribers.

use std::time::{Duration, Instant};

use super::outlet::Outlet;
use crate::error::WaitError;
#[cfg(feature = "tokio")]
use crate::transport::Readiness;

/// Interval at which a waiting caller counts the subscribers where no event wakes it: another call to the
/// socket may consume the event.
const RECOUNT_INTERVAL: Duration = Duration::from_millis(20);
/// Pause after an event that brought too few subscribers, or where the socket's events are out of reach.
const PAUSE: Duration = Duration::from_millis(1);

impl Outlet {
    /// Blocks until there are at least `count` subscribers.
    ///
    /// # Errors
    ///
    /// `TimedOut`, `Closed`.
    pub(crate) fn blocking_wait_for_subscribers(
        &self,
        count: usize,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        let deadline = Instant::now().checked_add(timeout);
        let events = self.events();
        // Counting reads all events, so the next one wakes this thread.
        while self.subscriber_count() < count {
            let now = Instant::now();
            if self.is_closing() {
                return Err(WaitError::Closed);
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Err(WaitError::TimedOut);
            }
            if let Some(events) = &events {
                let until = [Some(now + RECOUNT_INTERVAL), deadline].into_iter().flatten().min();
                // Whatever ended the wait, the count decides.
                let _ = events.wait(until, Some(self.stop()));
            }
            if self.subscriber_count() < count {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Waits until there are at least `count` subscribers.
    ///
    /// # Errors
    ///
    /// `TimedOut`, `Closed`.
    #[cfg(feature = "tokio")]
    pub(crate) async fn wait_for_subscribers(
        &self,
        count: usize,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        let enough = async {
            // A runtime watches a descriptor once: of several tasks that wait, one has the events.
            let readiness = self.events().and_then(|events| Readiness::new(events).ok());
            while self.subscriber_count() < count {
                if self.is_closing() {
                    return Err(WaitError::Closed);
                }
                match &readiness {
                    Some(readiness) => {
                        // Late or failed, the count decides.
                        let _ = tokio::time::timeout(RECOUNT_INTERVAL, readiness.changed()).await;
                    }
                    None => tokio::time::sleep(PAUSE).await,
                }
            }
            Ok(())
        };
        tokio::time::timeout(timeout, enough).await.unwrap_or(Err(WaitError::TimedOut))
    }
}
