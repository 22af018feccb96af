//! When a request is sent, sent again and given up: state machines without a socket or a clock.

use std::time::{Duration, Instant};

use crate::discovery::diagnosis::Diagnosis;
use crate::discovery::error::DiscoveryError;
use crate::endpoint::{Endpoint, Probe, probe};
use crate::transport::RequestError;

/// How long an attempt waits for its reply: a daemon that ended in between never answers, and its
/// successor has not received the request.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two requests while waiting for a topic or a daemon.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// One request with its attempts.
///
/// ```text
/// loop { until = begin(now)?; reply = send and wait until `until`; if let Some(reply) = finish(now, reply)? { done } }
/// ```
pub(super) struct Attempts<'e> {
    endpoint: &'e Endpoint,
    deadline: Option<Instant>,
    is_repeatable: bool,
    may_wait: bool,
}

impl<'e> Attempts<'e> {
    /// A request to the daemon at `endpoint`. It is sent once unless it `is_repeatable`.
    pub(super) fn new(
        endpoint: &'e Endpoint,
        deadline: Option<Instant>,
        is_repeatable: bool,
    ) -> Self {
        Self { endpoint, deadline, is_repeatable, may_wait: false }
    }

    /// Lets the explanation of an error take a moment: names are resolved, and hosts contacted.
    pub(super) fn explaining(self) -> Self {
        Self { may_wait: true, ..self }
    }

    /// Begins an attempt; returns until when it waits for the reply, `None` for no limit.
    ///
    /// # Errors
    ///
    /// `Unreachable` where no process listens at an ipc address: waiting is useless.
    pub(super) fn begin(&self, now: Instant) -> Result<Option<Instant>, DiscoveryError> {
        match self.endpoint.file_path().map(probe) {
            Some(Probe::Absent | Probe::Refused) => Err(self.unreachable()),
            _ => {
                let attempt = now.checked_add(ATTEMPT_TIMEOUT).filter(|_| self.is_repeatable);
                Ok([self.deadline, attempt].into_iter().flatten().min())
            }
        }
    }

    /// Ends an attempt; `None` asks for the next one.
    ///
    /// # Errors
    ///
    /// `Unreachable` after the deadline; `Interrupted`, `Socket`.
    pub(super) fn finish<R>(
        &self,
        now: Instant,
        reply: Result<R, RequestError>,
    ) -> Result<Option<R>, DiscoveryError> {
        match reply {
            Ok(reply) => Ok(Some(reply)),
            Err(RequestError::TimedOut) if self.deadline.is_none_or(|deadline| now < deadline) => {
                Ok(None)
            }
            Err(RequestError::TimedOut) => Err(self.unreachable()),
            Err(RequestError::Interrupted) => Err(DiscoveryError::Interrupted),
            Err(RequestError::Socket(error)) => Err(error.into()),
        }
    }

    fn unreachable(&self) -> DiscoveryError {
        let address = self.endpoint.to_string();
        let diagnosis = match self.may_wait {
            true => Diagnosis::of(&address),
            false => Diagnosis::at_once(&address),
        };
        DiscoveryError::Unreachable { address, diagnosis: Box::new(diagnosis) }
    }
}

/// Requests that are repeated until the daemon answers with what is waited for.
pub(super) struct Polling {
    deadline: Option<Instant>,
    is_last: bool,
}

impl Polling {
    /// Polls for `timeout`, at least once.
    pub(super) fn new(now: Instant, timeout: Duration) -> Self {
        Self { deadline: now.checked_add(timeout), is_last: false }
    }

    /// What follows a request with this answer: `Ok` with the result, or `Err` with the pause before the
    /// next request. An absent daemon is waited for like an absent topic.
    pub(super) fn next_attempt<T>(
        &mut self,
        now: Instant,
        answer: Result<Option<T>, DiscoveryError>,
    ) -> Result<Result<Option<T>, DiscoveryError>, Duration> {
        if !matches!(answer, Ok(None) | Err(DiscoveryError::Unreachable { .. })) || self.is_last {
            return Ok(answer);
        }
        let Some(deadline) = self.deadline else { return Err(POLL_INTERVAL) };
        let left = deadline.saturating_duration_since(now);
        if left.is_zero() {
            return Ok(answer);
        }
        // One more request at the deadline.
        self.is_last = left <= POLL_INTERVAL;
        Err(left.min(POLL_INTERVAL))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp() -> Endpoint {
        "tcp://127.0.0.1:1".parse().unwrap()
    }

    #[test]
    fn a_repeatable_request_is_sent_again_until_its_deadline() {
        let (endpoint, start) = (tcp(), Instant::now());
        let deadline = start + Duration::from_millis(1500);
        let attempts = Attempts::new(&endpoint, Some(deadline), true);
        assert_eq!(attempts.begin(start).unwrap(), Some(start + ATTEMPT_TIMEOUT));
        let later = start + ATTEMPT_TIMEOUT;
        assert!(attempts.finish::<()>(later, Err(RequestError::TimedOut)).unwrap().is_none());
        assert_eq!(attempts.begin(later).unwrap(), Some(deadline));
        let error = attempts.finish::<()>(deadline, Err(RequestError::TimedOut)).unwrap_err();
        assert!(matches!(error, DiscoveryError::Unreachable { .. }), "{error}");
        assert_eq!(attempts.finish(deadline, Ok(7)).unwrap(), Some(7));
    }

    #[test]
    fn a_request_that_must_not_be_repeated_waits_for_its_deadline() {
        let (endpoint, start) = (tcp(), Instant::now());
        let deadline = start + Duration::from_secs(60);
        let once = Attempts::new(&endpoint, Some(deadline), false);
        assert_eq!(once.begin(start).unwrap(), Some(deadline));
        assert_eq!(Attempts::new(&endpoint, None, false).begin(start).unwrap(), None);
    }

    #[test]
    fn no_listener_at_an_ipc_address_is_reported_at_once() {
        let endpoint: Endpoint = "ipc:///nonexistent/s".parse().unwrap();
        let error = Attempts::new(&endpoint, None, true).begin(Instant::now()).unwrap_err();
        assert!(matches!(error, DiscoveryError::Unreachable { .. }), "{error}");
    }

    #[test]
    fn polling_asks_once_more_at_its_deadline() {
        let start = Instant::now();
        let mut polling = Polling::new(start, POLL_INTERVAL * 2);
        let absent = || Ok::<Option<()>, DiscoveryError>(None);
        assert_eq!(polling.next_attempt(start, absent()).unwrap_err(), POLL_INTERVAL);
        let pause = polling.next_attempt(start + POLL_INTERVAL, absent()).unwrap_err();
        assert_eq!(pause, POLL_INTERVAL);
        assert!(polling.next_attempt(start + POLL_INTERVAL * 2, absent()).unwrap().is_ok());
        let found = Polling::new(start, Duration::MAX).next_attempt(start, Ok(Some(())));
        assert!(matches!(found, Ok(Ok(Some(())))));
    }
}
