//! The dedicated thread of a subscriber.

use std::sync::Arc;

use super::subscription::Subscription;
use crate::error::CreateError;
use crate::runtime::thread_options::ThreadOptions;
use crate::runtime::threads::{ThreadHandle, Threads};

/// A thread that ends when this is dropped, and with its node.
#[derive(Debug)]
pub(super) struct SubscriberThread {
    subscription: Arc<Subscription>,
    threads: Arc<Threads>,
    thread: ThreadHandle,
}

impl SubscriberThread {
    /// Starts a thread that runs `work`, which must end once the subscription is stopped.
    ///
    /// # Errors
    ///
    /// When the thread cannot run with these options; `ShutDown`.
    pub(super) fn start(
        threads: &Arc<Threads>,
        subscription: &Arc<Subscription>,
        options: ThreadOptions,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<Self, CreateError> {
        // The stop token is not needed: a receive ends with the node as well.
        let thread = threads.spawn(options, move |_| work())?;
        Ok(Self { subscription: Arc::clone(subscription), threads: Arc::clone(threads), thread })
    }

    /// Whether the thread has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Drop for SubscriberThread {
    fn drop(&mut self) {
        let was_stopped = self.subscription.is_closed();
        self.subscription.stop();
        match was_stopped {
            true => self.threads.end(&self.thread),
            false => self.threads.end_dropped(&self.thread, "subscriber"),
        }
    }
}
