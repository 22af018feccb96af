//! The counters of all parts of a node.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::histogram::Quantiles;
use super::parts::NodeParts;
use super::{PublisherStats, SubscriberStats};
use crate::mutex::Mutex;

/// Counters of a node's publishers, subscribers and timers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NodeStats {
    /// Topic and counters of each publisher, sorted by topic.
    pub publishers: Vec<(String, PublisherStats)>,
    /// Topic and counters of each subscriber, sorted by topic; of one topic in order of creation.
    pub subscribers: Vec<(String, SubscriberStats)>,
    /// The timers in order of creation.
    pub timers: Vec<TimerStats>,
}

/// Counters of a timer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TimerStats {
    /// The period.
    pub period: Duration,
    /// The name of its thread, for a timer with a dedicated thread.
    pub thread: Option<String>,
    /// Calls of the callback that have returned.
    pub ticks: u64,
    /// Ticks whose time had passed before the previous one was done.
    pub overruns: u64,
    /// Calls of the callback that returned an error or panicked.
    pub failures: u64,
    /// How late the callback was called after the time of its tick, since the start of the timer.
    pub late: Quantiles,
}

/// A part of a node with counters.
pub(crate) trait Counted: Send + Sync {
    /// Adds the counters of this part.
    fn add_to(&self, stats: &mut NodeStats);

    /// Adds the description of a publisher or a subscriber.
    fn describe(&self, _parts: &mut NodeParts) {}
}

/// The parts of a node that have counters.
#[derive(Default)]
pub(crate) struct StatsRegistry {
    parts: Mutex<Vec<Weak<dyn Counted>>>,
    /// The counters when the node's shutdown began.
    last: OnceLock<NodeStats>,
}

impl StatsRegistry {
    /// Adds a part for as long as it exists.
    pub(crate) fn add(&self, part: &Arc<impl Counted + 'static>) {
        let part: Arc<dyn Counted> = part.clone();
        let mut parts = self.parts.lock();
        parts.retain(|part| part.strong_count() > 0);
        parts.push(Arc::downgrade(&part));
    }

    /// The counters as they are, or as they were at [`freeze`](Self::freeze).
    pub(crate) fn snapshot(&self) -> NodeStats {
        self.last.get().cloned().unwrap_or_else(|| self.collect())
    }

    /// Keeps the counters, since the parts are about to be dropped.
    pub(crate) fn freeze(&self) {
        self.last.get_or_init(|| self.collect());
    }

    /// The publishers and subscribers that exist.
    pub(crate) fn parts(&self) -> NodeParts {
        let mut listed = NodeParts::default();
        for part in self.existing() {
            part.describe(&mut listed);
        }
        listed.publishers.sort_by(|one, other| one.topic.cmp(&other.topic));
        listed.subscribers.sort_by(|one, other| one.topic.cmp(&other.topic));
        listed
    }

    fn existing(&self) -> Vec<Arc<dyn Counted>> {
        self.parts.lock().iter().filter_map(Weak::upgrade).collect()
    }

    fn collect(&self) -> NodeStats {
        let mut stats = NodeStats::default();
        for part in self.existing() {
            part.add_to(&mut stats);
        }
        stats.publishers.sort_by(|(one, _), (other, _)| one.cmp(other));
        stats.subscribers.sort_by(|(one, _), (other, _)| one.cmp(other));
        stats
    }
}

impl fmt::Debug for StatsRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatsRegistry").finish_non_exhaustive()
    }
}
