//! What all parts of a node have counted, together.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::stats::{PublisherStats, SubscriberStats};

/// What a node's publishers, subscribers and timers have done so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct NodeStats {
    /// Topic and counters of each publisher, sorted by topic.
    pub publishers: Vec<(String, PublisherStats)>,
    /// Topic and counters of each subscriber, sorted by topic; of one topic in the order in which
    /// they were made.
    pub subscribers: Vec<(String, SubscriberStats)>,
    /// The timers, in the order in which they were made.
    pub timers: Vec<TimerStats>,
}

/// What a timer has done so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TimerStats {
    /// The period.
    pub period: Duration,
    /// The name of its thread, if it has one of its own.
    pub thread: Option<String>,
    /// How often the callback was called and has returned.
    pub ticks: u64,
    /// Ticks whose time had passed before the one before them was done.
    pub overruns: u64,
    /// How often the callback returned an error or panicked.
    pub failures: u64,
}

/// A part of a node that counts.
pub(crate) trait Counted: Send + Sync {
    /// Adds its counters.
    fn count(&self, stats: &mut NodeStats);
}

/// The parts of a node that count.
#[derive(Default)]
pub(crate) struct Census {
    parts: Mutex<Vec<Weak<dyn Counted>>>,
    /// What they had counted when the node's end began.
    last: OnceLock<NodeStats>,
}

impl Census {
    /// Counts this one in, for as long as it is there.
    pub(crate) fn add(&self, part: &Arc<impl Counted + 'static>) {
        let part: Arc<dyn Counted> = part.clone();
        let mut parts = self.lock();
        parts.retain(|part| part.strong_count() > 0);
        parts.push(Arc::downgrade(&part));
    }

    /// Everything as it is, or as it was before [`end`](Self::end).
    pub(crate) fn take(&self) -> NodeStats {
        self.last.get().cloned().unwrap_or_else(|| self.look())
    }

    /// Keeps what was counted: the parts are about to go.
    pub(crate) fn end(&self) {
        self.last.get_or_init(|| self.look());
    }

    fn look(&self) -> NodeStats {
        let parts: Vec<_> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let mut stats = NodeStats::default();
        for part in parts {
            part.count(&mut stats);
        }
        stats.publishers.sort_by(|(one, _), (other, _)| one.cmp(other));
        stats.subscribers.sort_by(|(one, _), (other, _)| one.cmp(other));
        stats
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<dyn Counted>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
