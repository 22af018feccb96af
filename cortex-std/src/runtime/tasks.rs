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
type Task = std::pin::Pin<Box<dyn Future<Output = ()>>>;

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

    /// Waits until a task is added; returns at once if one was since the last call.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.new.borrow().is_empty()
    }
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}
