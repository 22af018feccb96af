//! Waking a thread that waits at a socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use super::error::SocketError;

/// Ends every blocking call that it was passed to; clones are the same interrupt.
///
/// It stays set until [`clear`](Self::clear): one wake ends the current waits and those that follow.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    woken: AtomicBool,
    event: OwnedFd,
}

impl Interrupt {
    /// An interrupt that is not set.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub(crate) fn new() -> Result<Self, SocketError> {
        let event =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|errno| {
                SocketError::from_errno(errno.raw_os_error(), "create an interrupt", None)
            })?;
        Ok(Self { inner: Arc::new(Inner { woken: AtomicBool::new(false), event }) })
    }

    /// Sets it. Callable from any thread.
    pub(crate) fn wake(&self) {
        self.inner.woken.store(true, Ordering::SeqCst);
        // Fails only when the counter is full, and then it is readable already.
        let _ = rustix::io::write(&self.inner.event, &1_u64.to_ne_bytes());
    }

    /// Whether it is set.
    pub(crate) fn is_woken(&self) -> bool {
        self.inner.woken.load(Ordering::SeqCst)
    }

    /// Unsets it; a `wake` at the same time is not lost.
    pub(crate) fn clear(&self) {
        self.inner.woken.store(false, Ordering::SeqCst);
        // Fails only when there is nothing to read.
        let _ = rustix::io::read(&self.inner.event, &mut [0_u8; 8]);
    }

    /// Readable while it is set.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.inner.event.as_fd()
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum WaitResult {
    /// There may be something to do.
    Ready,
    /// The deadline passed.
    TimedOut,
    /// The interrupt is set.
    Interrupted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_stays_set_until_it_is_cleared() {
        let interrupt = Interrupt::new().unwrap();
        assert!(!interrupt.is_woken());
        interrupt.clone().wake();
        interrupt.wake();
        assert!(interrupt.is_woken());
        interrupt.clear();
        assert!(!interrupt.is_woken());
    }
}
