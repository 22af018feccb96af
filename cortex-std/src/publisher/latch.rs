//! Sending the last message to who comes late.

use std::sync::Weak;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Inner;
use crate::error::CreateError;
use crate::socket::interrupt::Interrupt;
use crate::socket::xpub::SubscriptionWatch;

/// Serves the subscribers of a latched publisher between its messages, on a thread of its own.
pub(super) struct Latch {
    stop: Interrupt,
    thread: Option<JoinHandle<()>>,
}

impl Latch {
    /// How long a signal that somebody else used up is waited for.
    const REVIEW: Duration = Duration::from_millis(200);

    pub(super) fn start(
        publisher: Weak<Inner>,
        watch: SubscriptionWatch,
    ) -> Result<Self, CreateError> {
        let stop = Interrupt::new()?;
        let stopped = stop.clone();
        let serve = move || {
            while !stopped.is_woken() {
                if let Err(error) = watch.wait(Instant::now() + Self::REVIEW, &stopped) {
                    tracing::error!(%error, "late subscribers are not served any more");
                    return;
                }
                let Some(publisher) = publisher.upgrade() else { return };
                publisher.serve();
            }
        };
        let thread = std::thread::Builder::new()
            .name("cortex-latch".into())
            .spawn(serve)
            .map_err(CreateError::Thread)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        self.stop.wake();
        // The thread itself may be the last one who held the publisher.
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the thread that serves late subscribers panicked");
        }
    }
}
