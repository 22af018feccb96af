//! What wakes a task that waits for messages, besides the sockets.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::Sleep;

use crate::discovery::agent::WatchCell;

/// Changes of the topic's publishers, and a deadline. It outlives a single poll, so that dropping the
/// future of a receive loses no change.
#[derive(Default)]
pub(super) struct Wakeups {
    found: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Wakeups {
    /// Ready if the cell changed since the last call.
    pub(super) fn poll_found(
        &mut self,
        cell: &Arc<WatchCell>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let found = self.found.get_or_insert_with(|| {
            let cell = Arc::clone(cell);
            Box::pin(async move { cell.changed().await })
        });
        let changed = found.as_mut().poll(context);
        if changed.is_ready() {
            self.found = None;
        }
        changed
    }

    /// Ready once `due` has passed; never for `None`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time enabled, where `due` is set.
    pub(super) fn poll_due(&mut self, due: Option<Instant>, context: &mut Context<'_>) -> Poll<()> {
        let Some(due) = due.map(tokio::time::Instant::from) else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(context)
    }
}

impl fmt::Debug for Wakeups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wakeups").finish_non_exhaustive()
    }
}

/// Yields to the other tasks of the thread: pending, and the task is polled again after them.
pub(super) fn poll_yield(context: &mut Context<'_>) -> Poll<()> {
    pin!(tokio::task::yield_now()).poll(context)
}

/// Pending once the task has used up its budget of operations, so that it does not starve the others.
pub(super) fn poll_budget(context: &mut Context<'_>) -> Poll<()> {
    pin!(tokio::task::coop::consume_budget()).poll(context)
}
