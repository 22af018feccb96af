//! Handles to a subscriber that runs elsewhere.

use std::sync::Arc;

use super::subscription::Subscription;
use super::thread::SubscriberThread;
use crate::stats::SubscriberStats;

/// A handle to a subscriber, for any thread and any callback. Dropping it has no effect.
#[derive(Debug, Clone)]
pub struct SubscriberHandle {
    pub(super) subscription: Arc<Subscription>,
}

impl SubscriberHandle {
    /// The counters.
    #[must_use]
    pub fn stats(&self) -> SubscriberStats {
        self.subscription.counters.snapshot()
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.subscription.topic
    }

    /// Stops the subscriber, without waiting for it: a running callback is the last one, and every receive
    /// returns `Closed`.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use cortex_std::{Node, wire::StringMessage};
    /// # fn example(node: &Node) -> cortex_std::Result<()> {
    /// # #[cfg(feature = "tokio")] {
    /// let notes = node.subscriber::<StringMessage>("/notes").on_message(async |note, _| {
    ///     println!("{}", note.data);
    /// })?;
    /// notes.stop();
    /// # }
    /// # Ok(()) }
    /// ```
    pub fn stop(&self) {
        self.subscription.stop();
    }

    /// Whether the subscriber was stopped or dropped, or its node was shut down.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.subscription.is_closed()
    }
}

/// A subscriber whose callback runs on a dedicated thread.
///
/// The thread ends when this is dropped, at the latest with its node. `let _ = ..` drops it at once: bind it
/// to a name, `let _frames = ..`. A subscriber that ends by this while its node runs is logged at level `info`.
///
/// Dropping waits for a running callback, at most one second; a callback that blocks longer is logged by the
/// thread's name and left running. Dropping within the callback does not wait.
#[derive(Debug)]
#[must_use = "dropping it, also by `let _ =`, ends the subscriber; bind it: `let _frames = ..`"]
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

    /// A handle to the counters, which can stop the subscriber.
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
