//! The futures that [`Node::run`](crate::Node::run) drives.

use std::marker::PhantomData;
use std::rc::Rc;

/// The callbacks of a node that run in one task, where they may share state without locks.
///
/// Neither `Send` nor `Sync`, with and without the feature `tokio`: a feature must not take a trait away.
pub(crate) struct Tasks {
    #[cfg(feature = "tokio")]
    new: std::cell::RefCell<Vec<Task>>,
    #[cfg(feature = "tokio")]
    added: tokio::sync::Notify,
    local: PhantomData<Rc<()>>,
}

#[cfg(feature = "tokio")]
pub(crate) type Task = std::pin::Pin<Box<dyn Future<Output = ()>>>;

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(feature = "tokio")]
            new: std::cell::RefCell::default(),
            #[cfg(feature = "tokio")]
            added: tokio::sync::Notify::new(),
            local: PhantomData,
        }
    }
}

#[cfg(feature = "tokio")]
impl Tasks {
    pub(crate) fn add(&self, task: impl Future<Output = ()> + 'static) {
        self.new.borrow_mut().push(Box::pin(task));
        self.added.notify_one();
    }

    /// The tasks since the last call.
    pub(crate) fn take(&self) -> Vec<Task> {
        self.new.take()
    }

    /// Returns the tasks of a cancelled run, for the next one.
    pub(crate) fn put_back(&self, tasks: impl IntoIterator<Item = Task>) {
        self.new.borrow_mut().extend(tasks);
    }

    /// Waits until a task is added; returns at once if one was since the last call.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.new.borrow().is_empty()
    }
}

/// The tasks that a run drives; they go back to the node's when the run is cancelled.
#[cfg(feature = "tokio")]
pub(crate) struct RunningTasks<'n> {
    tasks: &'n Tasks,
    pub(crate) futures: futures_util::stream::FuturesUnordered<Task>,
}

#[cfg(feature = "tokio")]
impl<'n> RunningTasks<'n> {
    pub(crate) fn new(tasks: &'n Tasks) -> Self {
        Self { tasks, futures: futures_util::stream::FuturesUnordered::default() }
    }
}

#[cfg(feature = "tokio")]
impl Drop for RunningTasks<'_> {
    fn drop(&mut self) {
        self.tasks.put_back(std::mem::take(&mut self.futures));
    }
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}
