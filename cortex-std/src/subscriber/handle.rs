//! Handles to a subscriber that runs elsewhere.

use std::sync::Arc;

use super::thread::SubscriberThread;
use crate::stats::{SubscriberCounters, SubscriberStats};

/// The counters of a subscriber, readable from any thread.
#[derive(Debug, Clone)]
pub struct SubscriberHandle {
    pub(super) counters: Arc<SubscriberCounters>,
}

impl SubscriberHandle {
    /// The counters.
    #[must_use]
    pub fn stats(&self) -> SubscriberStats {
        self.counters.snapshot()
    }
}

/// A subscriber whose callback runs on a dedicated thread.
///
/// The thread ends when this is dropped, and with its node. Dropping waits for a running callback, at most
/// one second; a callback that blocks longer is logged by the thread's name and left running. Dropping
/// within the callback does not wait.
#[derive(Debug)]
#[must_use = "dropping it ends the subscriber: bind it to a name, such as `_control`"]
pub struct ThreadSubscriber {
    pub(super) thread: SubscriberThread,
    pub(super) handle: SubscriberHandle,
}

impl ThreadSubscriber {
    /// The counters.
    #[must_use]
    pub fn stats(&self) -> SubscriberStats {
        self.handle.stats()
    }

    /// A handle to the counters.
    #[must_use]
    pub fn handle(&self) -> SubscriberHandle {
        self.handle.clone()
    }

    /// Whether the thread has ended: the node was shut down, or the socket failed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}
