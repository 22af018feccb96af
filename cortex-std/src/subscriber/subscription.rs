//! The state of a subscriber that several threads share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::discovery::agent::WatchCell;
use crate::mutex::Mutex;
use crate::stats::SubscriberCounters;
use crate::stats::node::{Counted, NodeStats};
use crate::stats::parts::{NodeParts, SubscriberInfo};

/// A subscription to a topic: its counters, its publishers, and whether it is stopped.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) topic: Arc<str>,
    message_type: &'static str,
    pub(super) counters: SubscriberCounters,
    /// What the agent found.
    pub(super) cell: Arc<WatchCell>,
    publishers: Mutex<Vec<String>>,
    is_stopped: AtomicBool,
}

impl Subscription {
    /// Keeps `samples` times of each stage.
    pub(super) fn new(
        topic: Arc<str>,
        message_type: &'static str,
        cell: Arc<WatchCell>,
        samples: usize,
    ) -> Self {
        Self {
            topic,
            message_type,
            counters: SubscriberCounters::tracing(samples),
            cell,
            publishers: Mutex::default(),
            is_stopped: AtomicBool::new(false),
        }
    }

    /// The addresses of the publishers.
    pub(super) fn publishers(&self) -> Vec<String> {
        self.publishers.lock().clone()
    }

    pub(super) fn set_publishers(&self, addresses: &[&str]) {
        *self.publishers.lock() = addresses.iter().map(|&address| address.to_owned()).collect();
    }

    /// Makes every receive return `Closed`, also one that waits on another thread or in another task.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.cell.wake();
    }

    /// Whether the subscription was stopped or its node was shut down.
    pub(super) fn is_closed(&self) -> bool {
        self.is_stopped.load(Ordering::SeqCst) || self.cell.is_closed()
    }

    /// Counts and logs a callback that failed.
    pub(super) fn record_failure(&self, failure: Option<String>) {
        if let Some(error) = failure {
            self.counters.failed.add(1);
            tracing::error!(topic = %self.topic, error, "callback failed");
        }
    }
}

impl Counted for Subscription {
    fn add_to(&self, stats: &mut NodeStats) {
        // A handle keeps the counters of a subscriber that has ended.
        if !self.is_stopped.load(Ordering::SeqCst) {
            stats.subscribers.push((self.topic.to_string(), self.counters.snapshot()));
        }
    }

    fn describe(&self, parts: &mut NodeParts) {
        if !self.is_stopped.load(Ordering::SeqCst) {
            parts.subscribers.push(SubscriberInfo {
                topic: self.topic.to_string(),
                message_type: self.message_type,
                publishers: self.publishers(),
            });
        }
    }
}
