//! The thread that sends the last message of a latched publisher to late subscribers.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::CreateError;
use crate::log::ErrorChain;
use crate::transport::{EventSource, Interrupt};

/// A thread that calls a function whenever subscriptions may have changed; ends when dropped.
pub(super) struct Latch {
    stop: Interrupt,
    thread: Option<JoinHandle<()>>,
}

impl Latch {
    /// Another call to the socket may consume an event, so the thread also calls `serve` at this interval.
    const CHECK_INTERVAL: Duration = Duration::from_millis(200);

    /// Starts the thread, which ends once `serve` returns false.
    ///
    /// # Errors
    ///
    /// When no thread or file descriptor is left.
    pub(super) fn start(
        events: EventSource,
        serve: impl Fn() -> bool + Send + 'static,
    ) -> Result<Self, CreateError> {
        let stop = Interrupt::new()?;
        let stopped = stop.clone();
        let run = move || {
            while !stopped.is_woken() {
                let until = Instant::now() + Self::CHECK_INTERVAL;
                if let Err(error) = events.wait(Some(until), Some(&stopped)) {
                    let error = ErrorChain(&error);
                    tracing::error!(%error, "late subscribers no longer get the last message");
                    return;
                }
                if !serve() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("cortex-latch".into())
            .spawn(run)
            .map_err(CreateError::thread)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        self.stop.wake();
        // The thread itself may have held the publisher last.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the thread that serves late subscribers panicked");
        }
    }
}
