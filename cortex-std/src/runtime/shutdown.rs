//! The shutdown of a node: which thread closes it, and which threads wait for that.

use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::mutex::{Condvar, Mutex};

/// How long a thread waits for another one that closes the node.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How far the shutdown is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Running,
    /// A signal arrived.
    Requested,
    /// This thread closes the node.
    Closing(ThreadId),
    Closed,
}

/// What a thread that wants to close the node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Closes it.
    Close,
    /// Waits for the thread that closes it.
    Wait,
    /// Returns: the node is closed, or waiting would be a deadlock.
    Return,
}

impl Phase {
    /// A signal arrived.
    fn request(&mut self) {
        if *self == Self::Running {
            *self = Self::Requested;
        }
    }

    /// `caller` wants to close the node. A thread of the node itself never waits, since the closing
    /// thread waits for it; neither does the closing thread.
    fn begin(&mut self, caller: ThreadId, is_node_thread: bool) -> Next {
        match *self {
            Self::Running | Self::Requested => {
                *self = Self::Closing(caller);
                Next::Close
            }
            Self::Closed => Next::Return,
            Self::Closing(closer) if closer == caller || is_node_thread => Next::Return,
            Self::Closing(_) => Next::Wait,
        }
    }
}

/// Drives the phases with a lock and notifications.
#[derive(Debug, Default)]
pub(super) struct Shutdown {
    phase: Mutex<Phase>,
    changed: Condvar,
    #[cfg(feature = "tokio")]
    notify: tokio::sync::Notify,
}

impl Shutdown {
    /// Requests the shutdown; returns at once.
    pub(super) fn request(&self) {
        self.phase.lock().request();
        self.notify();
    }

    /// Whether the shutdown was requested or has begun.
    #[cfg(any(test, feature = "tokio"))]
    pub(super) fn is_requested(&self) -> bool {
        *self.phase.lock() != Phase::Running
    }

    /// Blocks until the shutdown is requested or begins; false at the deadline.
    pub(super) fn wait_until(&self, deadline: Option<Instant>) -> bool {
        let mut phase = self.phase.lock();
        while *phase == Phase::Running {
            match self.changed.wait_until(phase, deadline) {
                Ok(woken) => phase = woken,
                Err(late) => return *late != Phase::Running,
            }
        }
        true
    }

    /// Waits until the shutdown is requested or begins.
    #[cfg(feature = "tokio")]
    pub(super) async fn requested(&self) {
        self.notify.notified().await;
    }

    /// Runs `close` once, on the first thread that calls this. Another thread waits until the node is
    /// closed, at most two seconds, unless it `is_node_thread`.
    pub(super) fn close(&self, is_node_thread: bool, close: impl FnOnce()) {
        let caller = std::thread::current().id();
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        let mut phase = self.phase.lock();
        loop {
            match phase.begin(caller, is_node_thread) {
                Next::Close => break,
                Next::Return => return,
                Next::Wait => match self.changed.wait_until(phase, Some(deadline)) {
                    Ok(woken) => phase = woken,
                    Err(_) => return,
                },
            }
        }
        drop(phase);
        self.notify();
        close();
        *self.phase.lock() = Phase::Closed;
        self.notify();
    }

    fn notify(&self) {
        self.changed.notify_all();
        #[cfg(feature = "tokio")]
        self.notify.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, mpsc};

    use super::*;

    #[test]
    fn the_first_thread_closes_and_others_wait_unless_they_belong_to_the_node() {
        let (one, other) = (std::thread::current().id(), std::thread::spawn(|| ()).thread().id());
        let mut phase = Phase::Running;
        assert_eq!(phase.begin(one, false), Next::Close);
        assert_eq!(phase.begin(one, false), Next::Return, "closing again from within");
        assert_eq!(phase.begin(other, false), Next::Wait);
        assert_eq!(phase.begin(other, true), Next::Return);
        phase = Phase::Closed;
        for is_node_thread in [false, true] {
            assert_eq!(phase.begin(other, is_node_thread), Next::Return);
        }
    }

    #[test]
    fn a_signal_requests_a_shutdown_that_any_thread_may_begin() {
        let this = std::thread::current().id();
        let mut phase = Phase::Running;
        phase.request();
        assert_eq!(phase, Phase::Requested);
        assert_eq!(phase.begin(this, true), Next::Close);
        // A late signal changes nothing.
        phase.request();
        assert_eq!(phase, Phase::Closing(this));
    }

    #[test]
    fn many_threads_close_once_and_return_when_it_is_done() {
        let shutdown = Shutdown::default();
        let (closings, start) = (AtomicUsize::new(0), Barrier::new(8));
        let done = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    shutdown.close(false, || {
                        closings.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        done.store(1, Ordering::SeqCst);
                    });
                    assert_eq!(done.load(Ordering::SeqCst), 1);
                });
            }
        });
        assert_eq!(closings.load(Ordering::SeqCst), 1);
        assert!(shutdown.is_requested());
    }

    #[test]
    fn a_waiting_thread_returns_when_the_shutdown_is_requested() {
        let shutdown = Shutdown::default();
        let (sender, waiting) = mpsc::channel();
        std::thread::scope(|scope| {
            let shutdown = &shutdown;
            let waiter = scope.spawn(move || {
                sender.send(()).unwrap();
                shutdown.wait_until(None);
            });
            waiting.recv().unwrap();
            assert!(!shutdown.is_requested());
            shutdown.request();
            waiter.join().unwrap();
        });
    }

    #[test]
    fn a_callback_that_closes_the_node_while_it_closes_returns() {
        let shutdown = Shutdown::default();
        let mut is_closed = false;
        shutdown.close(false, || {
            shutdown.close(false, || unreachable!("closed twice"));
            std::thread::scope(|scope| {
                // A thread of the node, for which the closing thread waits.
                scope.spawn(|| shutdown.close(true, || unreachable!("closed twice")));
            });
            is_closed = true;
        });
        assert!(is_closed);
    }
}
