//! A subscriber's own thread, which ends with it or with its node.

use std::sync::Arc;

use crate::error::CreateError;
use crate::node::Shared;
use crate::receiver::Common;
use crate::thread::{ThreadHandle, ThreadOptions, Threads};

/// A thread that [`Common::stop`] ends, or the end of the node.
#[derive(Debug)]
pub(crate) struct Worker {
    common: Arc<Common>,
    threads: Arc<Threads>,
    thread: ThreadHandle,
}

impl Worker {
    /// Starts a thread that ends with this value and with the node.
    pub(crate) fn start(
        shared: &Shared,
        common: &Arc<Common>,
        options: ThreadOptions,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<Self, CreateError> {
        let threads = Arc::clone(&shared.threads);
        // Its token is not asked: what it waits for ends with the node as well.
        let thread = threads.spawn(options, move |_| work())?;
        Ok(Self { common: Arc::clone(common), threads, thread })
    }

    /// Whether the thread has ended.
    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.common.stop();
        self.threads.end(&self.thread);
    }
}
