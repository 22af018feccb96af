//! Waiting at descriptors, on a thread or in a tokio runtime.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::error::SocketError;
use super::interrupt::{Interrupt, WaitResult};

/// A descriptor that becomes readable when something changed at a socket; the descriptor stays open as
/// long as this value.
///
/// Usable from any thread while the socket is in use elsewhere.
#[derive(Clone)]
pub(crate) struct EventSource(Arc<dyn AsFd + Send + Sync>);

impl EventSource {
    /// `descriptor` must give the same open descriptor at every call.
    pub(super) fn new(descriptor: Arc<dyn AsFd + Send + Sync>) -> Self {
        Self(descriptor)
    }

    /// Blocks until something changed, the deadline passed or the interrupt is set.
    ///
    /// # Errors
    /// When the system refuses to wait.
    pub(crate) fn wait(
        &self,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError> {
        wait_at(self.as_fd(), deadline, interrupt)
    }
}

impl AsFd for EventSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(feature = "tokio")]
impl std::os::fd::AsRawFd for EventSource {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.as_fd())
    }
}

impl fmt::Debug for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventSource").field(&self.as_fd()).finish()
    }
}

/// Blocks until something changed at the descriptor, the deadline passed or the interrupt is set.
///
/// # Errors
/// When the system refuses to wait.
pub(super) fn wait_at(
    descriptor: BorrowedFd<'_>,
    deadline: Option<Instant>,
    interrupt: Option<&Interrupt>,
) -> Result<WaitResult, SocketError> {
    let first = interrupt.map_or(descriptor, Interrupt::fd);
    let mut fds = [first, descriptor].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    poll_until(&mut fds, deadline, interrupt.is_some())
}

/// Blocks until something changed at one of the sources; as [`EventSource::wait`].
///
/// # Errors
/// When the system refuses to wait.
pub(crate) fn wait_any<'s>(
    sources: impl Iterator<Item = &'s EventSource>,
    deadline: Option<Instant>,
    interrupt: Option<&'s Interrupt>,
) -> Result<WaitResult, SocketError> {
    let fds = interrupt.map(Interrupt::fd).into_iter().chain(sources.map(EventSource::as_fd));
    let mut fds: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    poll_until(&mut fds, deadline, interrupt.is_some())
}

/// Polls descriptors, of which the first may be an interrupt's.
pub(super) fn poll_until(
    fds: &mut [PollFd<'_>],
    deadline: Option<Instant>,
    has_interrupt: bool,
) -> Result<WaitResult, SocketError> {
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(fds, timeout.as_ref()) {
            Ok(0) => {}
            Ok(_) if has_interrupt && fds.first().is_some_and(|fd| !fd.revents().is_empty()) => {
                return Ok(WaitResult::Interrupted);
            }
            Ok(_) => return Ok(WaitResult::Ready),
            Err(Errno::INTR) => {}
            Err(errno) => {
                return Err(SocketError::from_errno(errno.raw_os_error(), "wait", None));
            }
        }
        if deadline.is_some_and(|at| Instant::now() >= at) {
            return Ok(WaitResult::TimedOut);
        }
    }
}
