//! The threads that end with their node.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, ThreadId, current};
use std::time::{Duration, Instant};

use super::callback::panic_text;
use super::thread_options::{DEFAULT_NAME, ThreadOptions, spawn};
use crate::error::ThreadError;
use crate::mutex::{Condvar, Mutex};
use crate::stop::StopToken;

/// How long the node waits for a thread that was stopped.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// A thread of a node.
///
/// Dropping the handle has no effect: the thread is stopped when its node shuts down.
#[derive(Debug, Clone)]
pub struct ThreadHandle {
    name: Arc<str>,
    stop: StopToken,
    is_done: Arc<AtomicBool>,
}

impl ThreadHandle {
    /// The thread's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Stops the thread by its [`StopToken`], without waiting for it.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Whether the thread has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_done.load(Ordering::SeqCst)
    }
}

/// The threads of a node. The node stops them when it shuts down and waits for them up to a timeout.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    handle: ThreadHandle,
    thread: JoinHandle<()>,
}

impl Running {
    /// Whether `waiter` must wait for this thread; a thread does not wait for itself.
    fn blocks(&self, waiter: ThreadId) -> bool {
        !self.handle.is_finished() && self.thread.thread().id() != waiter
    }
}

impl Threads {
    /// Starts a thread that is to end when its token is stopped. A panic is logged.
    ///
    /// # Errors
    ///
    /// As [`spawn`]; `ShutDown` after [`stop`](Self::stop).
    pub(crate) fn spawn(
        self: &Arc<Self>,
        options: ThreadOptions,
        body: impl FnOnce(StopToken) + Send + 'static,
    ) -> Result<ThreadHandle, ThreadError> {
        let options = options.or_named(DEFAULT_NAME);
        let handle = ThreadHandle {
            name: options.name.as_str().into(),
            stop: StopToken::new()?,
            is_done: Arc::default(),
        };
        let (threads, inside) = (Arc::clone(self), handle.clone());
        // Not locked meanwhile: a refused thread drops what `body` captured, which may run any code.
        if self.state.lock().is_closed {
            return Err(ThreadError::ShutDown);
        }
        let thread = spawn(options, move || {
            let stop = inside.stop.clone();
            // What `body` captured is dropped before the end is reported.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(stop))) {
                let reason = panic_text(panic.as_ref());
                tracing::error!(thread = &*inside.name, reason, "a thread of the node panicked");
            }
            inside.is_done.store(true, Ordering::SeqCst);
            drop(threads.state.lock());
            threads.ended.notify_all();
        })?;
        let mut state = self.state.lock();
        state.running.retain(|running| !running.handle.is_finished());
        state.running.push(Running { handle: handle.clone(), thread });
        if state.is_closed {
            drop(state);
            self.end(&handle);
            return Err(ThreadError::ShutDown);
        }
        Ok(handle)
    }

    /// Stops all threads; no other can be started.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        for running in &state.running {
            running.handle.stop();
        }
    }

    /// Waits for all threads but the current one. A thread that has not ended at the deadline is logged and
    /// left running.
    pub(crate) fn join(&self, deadline: Instant) {
        self.wait_for(deadline, |_| true);
    }

    /// Stops one thread and waits for it as [`join`](Self::join) does.
    pub(crate) fn end(&self, handle: &ThreadHandle) {
        handle.stop();
        let deadline = Instant::now() + STOP_TIMEOUT;
        self.wait_for(deadline, |other| Arc::ptr_eq(&other.is_done, &handle.is_done));
    }

    /// As [`end`](Self::end), for a handle that is dropped. Logged while the node runs: `let _ =` drops a handle
    /// at once.
    pub(crate) fn end_dropped(&self, handle: &ThreadHandle, what: &str) {
        let is_over =
            handle.is_finished() || handle.stop.is_stopped() || self.state.lock().is_closed;
        if !is_over {
            tracing::info!(thread = &*handle.name, "a {what} ends: its handle is dropped");
        }
        self.end(handle);
    }

    /// Whether the current thread is one of them.
    pub(crate) fn has_current(&self) -> bool {
        let current = current().id();
        self.state.lock().running.iter().any(|running| running.thread.thread().id() == current)
    }

    fn wait_for(&self, deadline: Instant, chosen: impl Fn(&ThreadHandle) -> bool) {
        let waiter = current().id();
        let is_awaited = |running: &Running| chosen(&running.handle) && running.blocks(waiter);
        let mut state = self.state.lock();
        loop {
            if !state.running.iter().any(is_awaited) {
                break;
            }
            match self.ended.wait_until(state, Some(deadline)) {
                Ok(woken) => state = woken,
                Err(late) => {
                    state = late;
                    break;
                }
            }
        }
        let (over, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut state.running)
            .into_iter()
            .partition(|running| chosen(&running.handle) && running.handle.is_finished());
        let left: Vec<_> = rest
            .iter()
            .filter(|running| is_awaited(running))
            .map(|running| running.handle.name.clone())
            .collect();
        state.running = rest;
        drop(state);
        for name in left {
            tracing::error!(thread = &*name, "a thread does not stop and is left running");
        }
        for running in over {
            // It has ended.
            let _ = running.thread.join();
        }
    }
}
