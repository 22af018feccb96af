//! Waiting for a socket's events in a tokio runtime.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::error::SocketError;
use super::event::EventSource;

/// Reports when something changed at a socket that is in use elsewhere.
///
/// As [`EventSource`] it reports changes: use the socket until it has nothing more;
/// [`changed`](Self::changed); use it again.
#[derive(Debug)]
pub(crate) struct Readiness {
    fd: AsyncFd<EventSource>,
}

impl Readiness {
    /// Registers the events of a socket with the runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch the descriptor.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O enabled.
    pub(crate) fn new(events: EventSource) -> Result<Self, SocketError> {
        // SAFETY: the descriptor is open as long as the `EventSource`, which `AsyncFd` owns, and is
        // always the same one: `EventSource::new` asks its callers for that.
        let fd = unsafe { AsyncFd::register_with_interest(events, Interest::READABLE) };
        match fd {
            Ok(fd) => Ok(Self { fd }),
            Err(error) => Err(registration_failed(&io::Error::from(error))),
        }
    }

    /// Ready if something changed since the last call; otherwise the next change wakes the task, and
    /// among several tasks the one that polled last.
    ///
    /// # Errors
    /// When the runtime shuts down.
    fn poll_changed(&self, context: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        self.fd.poll_read_ready(context).map(|ready| match ready {
            Ok(mut guard) => {
                guard.clear_ready();
                Ok(())
            }
            Err(error) => Err(registration_failed(&error)),
        })
    }

    /// Waits for a change; returns at once if there was one since the last call.
    ///
    /// # Errors
    /// When the runtime shuts down.
    ///
    /// # Cancel safety
    /// No change is lost.
    pub(crate) async fn changed(&self) -> Result<(), SocketError> {
        poll_fn(|context| self.poll_changed(context)).await
    }
}

/// Ready if something changed at any of several sockets since the last call; otherwise the next change of
/// each wakes the task.
///
/// # Errors
/// When the runtime shuts down.
pub(crate) fn poll_any_changed<'r>(
    sockets: impl Iterator<Item = &'r Readiness>,
    context: &mut Context<'_>,
) -> Poll<Result<(), SocketError>> {
    let mut changed = Poll::Pending;
    // All of them, so that each pending one wakes this task.
    for readiness in sockets {
        if let Poll::Ready(result) = readiness.poll_changed(context) {
            result?;
            changed = Poll::Ready(Ok(()));
        }
    }
    changed
}

fn registration_failed(error: &io::Error) -> SocketError {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    SocketError::from_errno(errno, "watch the socket", None)
}
