//! Handles to running timers.

use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::sync::atomic::{AtomicBool, Ordering};

use super::counters::Counters;
use crate::runtime::threads::{ThreadHandle, Threads};
use crate::stats::node::TimerStats;

/// A handle to a timer whose callback runs within [`Node::run`](crate::Node::run), for any thread and any
/// callback. Dropping it has no effect.
#[cfg(feature = "tokio")]
#[derive(Debug, Clone)]
pub struct TimerHandle {
    pub(super) counters: Arc<Counters>,
    stop: Arc<Stop>,
}

#[cfg(feature = "tokio")]
#[derive(Debug, Default)]
struct Stop {
    is_stopped: AtomicBool,
    notify: tokio::sync::Notify,
}

#[cfg(feature = "tokio")]
impl TimerHandle {
    pub(super) fn new(counters: &Arc<Counters>) -> Self {
        Self { counters: Arc::clone(counters), stop: Arc::default() }
    }

    /// Stops the timer, without waiting for it: a running callback is the last one.
    pub fn stop(&self) {
        self.stop.is_stopped.store(true, Ordering::SeqCst);
        self.stop.notify.notify_one();
    }

    /// Whether the timer was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.is_stopped.load(Ordering::SeqCst)
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> TimerStats {
        self.counters.snapshot()
    }

    /// Waits until the timer is stopped.
    pub(super) async fn stopped(&self) {
        while !self.is_stopped() {
            self.stop.notify.notified().await;
        }
    }
}

/// A timer with a dedicated thread, which ends when this is dropped, at the latest with its node.
///
/// `let _ = ..` drops it at once: bind it to a name, `let _control = ..`. A timer that ends by this while its
/// node runs is logged at level `info`.
///
/// Dropping waits for a running callback, at most one second; a callback that blocks longer is logged by the
/// thread's name and left running. Dropping within the callback does not wait.
#[derive(Debug)]
#[must_use = "dropping it, also by `let _ =`, ends the timer; bind it: `let _control = ..`"]
pub struct ThreadTimer {
    pub(super) threads: Arc<Threads>,
    pub(super) thread: ThreadHandle,
    pub(super) counters: Arc<Counters>,
}

impl ThreadTimer {
    /// The counters, with the lateness of the ticks.
    #[must_use]
    pub fn stats(&self) -> TimerStats {
        self.counters.snapshot()
    }

    /// Calls of the callback that have returned.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.counters.ticks.value()
    }

    /// Ticks whose time had passed before the previous one was done.
    #[must_use]
    pub fn overruns(&self) -> u64 {
        self.counters.overruns.value()
    }

    /// Calls of the callback that returned an error or panicked.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.counters.failures.value()
    }

    /// Stops the timer, without waiting for it: a running callback is the last one.
    pub fn stop(&self) {
        self.thread.stop();
    }

    /// Whether the timer has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Drop for ThreadTimer {
    fn drop(&mut self) {
        self.threads.end_dropped(&self.thread, "timer");
    }
}
