//! A node: owns its publishers, subscribers and timers, and runs until it is shut down.

mod builder;
mod graph;
mod parts;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{CreateError, ThreadError};
use crate::publisher::PublisherBuilder;
use crate::raw::{RawOptions, RawPublisher};
use crate::runtime::Runtime;
#[cfg(feature = "tokio")]
use crate::runtime::callback::CallbackResult;
use crate::runtime::signal::listen;
#[cfg(feature = "tokio")]
use crate::runtime::tasks::RunningTasks;
use crate::runtime::tasks::Tasks;
use crate::runtime::thread_options::ThreadOptions;
use crate::runtime::threads::ThreadHandle;
use crate::stats::node::NodeStats;
use crate::stop::StopToken;
use crate::subscriber::SubscriberBuilder;
use crate::timer::TimerBuilder;
#[cfg(feature = "tokio")]
use crate::timer::{Tick, TimerHandle};
use crate::wire::Message;

pub use builder::NodeBuilder;

/// A participant in the graph: owns publishers, subscribers and timers, and runs their callbacks.
///
/// The callbacks run concurrently in one task, as in Python: they may share state without locks, and a
/// callback that blocks its thread delays the others. So a node stays on its thread (it is neither `Send`
/// nor `Sync`); [`handle`](Self::handle) is for other threads.
///
/// A node that is dropped, or whose [`run`](Self::run) ends, closes its publishers and subscribers and
/// leaves no registration and no file.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use cortex_std::Node;
/// use cortex_std::wire::StringMessage;
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> cortex_std::Result<()> {
///     let node = Node::builder("clock").create()?;
///     let time = node.publisher::<StringMessage>("/time").create()?;
///     node.timer(Duration::from_secs(1), async move |tick| {
///         time.publish(&StringMessage { data: &format!("tick {}", tick.index) })
///     });
///     node.subscriber::<StringMessage>("/time").on_message(async |message, header| {
///         println!("[{}] {}", header.sequence, message.data);
///     })?;
///     node.run().await
/// }
/// ```
pub struct Node {
    runtime: Arc<Runtime>,
    tasks: Tasks,
}

impl Node {
    fn new(runtime: Runtime) -> Self {
        Self { runtime: Arc::new(runtime), tasks: Tasks::new() }
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.runtime.name
    }

    /// Builder for a publisher of messages of type `M` on `topic`.
    pub fn publisher<M: Message + 'static>(&self, topic: &str) -> PublisherBuilder<'_, M> {
        PublisherBuilder::new(&self.runtime, topic)
    }

    /// Builder for a subscriber to messages of type `M` on `topic`.
    pub fn subscriber<M: Message + 'static>(&self, topic: &str) -> SubscriberBuilder<'_, M> {
        SubscriberBuilder::new(&self.runtime, &self.tasks, topic)
    }

    /// A publisher of frames that were encoded elsewhere, registered for `topic`: for bridges and tools.
    /// `message_type` is the bare name of the class, `fingerprint` that of the header.
    ///
    /// Each message must be a whole Cortex message: topic, header, metadata, buffers.
    ///
    /// # Errors
    ///
    /// When the topic's name is invalid, this node publishes the topic already, or the socket fails.
    pub fn raw_publisher(
        &self,
        topic: &str,
        message_type: &str,
        fingerprint: u64,
    ) -> Result<RawPublisher, CreateError> {
        self.raw_publisher_with(topic, message_type, fingerprint, &RawOptions::default())
    }

    /// As [`raw_publisher`](Self::raw_publisher), with other settings than the defaults.
    ///
    /// # Errors
    ///
    /// As [`raw_publisher`](Self::raw_publisher).
    pub fn raw_publisher_with(
        &self,
        topic: &str,
        message_type: &str,
        fingerprint: u64,
        options: &RawOptions,
    ) -> Result<RawPublisher, CreateError> {
        RawPublisher::bind_in_node(&self.runtime, topic, message_type, fingerprint, options)
    }

    /// Calls the callback every `period`, from within [`run`](Self::run), on an absolute grid: first when
    /// that begins. Missed ticks follow in a burst.
    ///
    /// The timer runs until it is [stopped](TimerHandle::stop) or the node is shut down; dropping the handle
    /// has no effect.
    #[cfg(feature = "tokio")]
    pub fn timer<F, R>(&self, period: Duration, callback: F) -> TimerHandle
    where
        F: AsyncFnMut(Tick) -> R + 'static,
        R: CallbackResult + 'static,
    {
        self.timer_builder(period).on_tick(callback)
    }

    /// Builder for a timer whose callback runs within [`run`](Self::run), or on a dedicated thread for
    /// control loops.
    pub fn timer_builder(&self, period: Duration) -> TimerBuilder<'_> {
        let Runtime { threads, stats, .. } = &*self.runtime;
        TimerBuilder::new(threads, stats, &self.tasks, period)
    }

    /// Starts a thread that ends with this node.
    ///
    /// When the node shuts down, the token is stopped and the thread has one second to end; its publishers
    /// work until then. A thread that does not end is logged by name and left running. A panic is logged
    /// and ends only that thread.
    ///
    /// # Errors
    ///
    /// When the system refuses the thread, its affinity or its priority; `ShutDown`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use cortex_std::{Node, ThreadOptions};
    /// # let folder = tempfile::tempdir()?;
    /// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
    /// # let node = Node::builder("robot").discovery(&address).create()?;
    /// node.spawn_thread(ThreadOptions::named("lidar"), |stop| {
    ///     while !stop.wait_timeout(Duration::from_millis(10)) {
    ///         // Reads the device.
    ///     }
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_thread(
        &self,
        options: ThreadOptions,
        body: impl FnOnce(StopToken) + Send + 'static,
    ) -> Result<ThreadHandle, ThreadError> {
        self.runtime.threads.spawn(options, body)
    }

    /// The counters of all publishers, subscribers and timers; after the shutdown, of those that existed
    /// when it began.
    #[must_use]
    pub fn stats(&self) -> NodeStats {
        self.runtime.stats.snapshot()
    }

    /// A handle to this node, for other threads and for callbacks.
    #[must_use]
    pub fn handle(&self) -> NodeHandle {
        NodeHandle { runtime: Arc::clone(&self.runtime) }
    }

    /// Runs the callbacks until Ctrl-C, SIGTERM, SIGHUP or [`NodeHandle::shutdown`]; then drops the callbacks with
    /// all they captured, unregisters, and closes all parts of this node.
    ///
    /// A callback that blocks the thread delays that. So half a second after a signal another thread closes
    /// the node, and if the process still runs, it is ended within two seconds, with code 130 for Ctrl-C
    /// and 143 for SIGTERM; sooner after a second signal.
    ///
    /// After a node has run, a signal while no node runs ends the process, as without this crate.
    ///
    /// The future is not `Send`, since callbacks share state without locks: `tokio::spawn` does not accept
    /// it. Several nodes of one thread run together with `tokio::try_join!`; beside other tasks, a node runs
    /// in a [`LocalSet`](tokio::task::LocalSet).
    ///
    /// # Examples
    ///
    /// ```
    /// use cortex_std::Node;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
    /// let arm = Node::builder("arm").discovery(&address).create()?;
    /// let camera = Node::builder("camera").discovery(&address).create()?;
    /// # for node in [&arm, &camera] { node.handle().shutdown(); }
    /// tokio::try_join!(arm.run(), camera.run())?;
    ///
    /// // In a task of its own; the program goes on beside it.
    /// let local = tokio::task::LocalSet::new();
    /// let lidar = Node::builder("lidar").discovery(&address).create()?;
    /// let handle = lidar.handle();
    /// let task = local.spawn_local(async move { lidar.run().await });
    /// local.run_until(async move {
    ///     handle.shutdown();
    ///     task.await
    /// }).await??;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Io` when no thread or file descriptor is left to handle signals.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    ///
    /// # Cancel safety
    ///
    /// A call that is cancelled, such as by `select!`, leaves the node open and keeps its callbacks. Calling
    /// this again in the same runtime continues them, each where it waited. Meanwhile none of them runs:
    /// messages wait in the queues, and ticks count as [missed](crate::MissedTicks). The callbacks and what
    /// they captured are dropped with the node.
    #[cfg(feature = "tokio")]
    pub async fn run(&self) -> crate::Result<()> {
        use futures_util::StreamExt;

        let _listening = listen(self.runtime.clone())?;
        let mut running = RunningTasks::new(&self.tasks);
        while !self.runtime.is_stopping() {
            running.futures.extend(self.tasks.take());
            tokio::select! {
                () = self.runtime.shutdown_requested() => {}
                () = self.tasks.added() => {}
                Some(()) = running.futures.next() => {}
            }
        }
        // Dropping the callbacks drops the parts that they own.
        self.runtime.stats.freeze();
        running.futures.clear();
        self.runtime.close();
        Ok(())
    }

    /// Blocks until Ctrl-C, SIGTERM, SIGHUP or [`NodeHandle::shutdown`]; then unregisters and closes all parts of
    /// this node. For nodes that work on threads: it calls no async callback and needs no tokio.
    ///
    /// Signals are handled as in [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// `Io` when no thread or file descriptor is left to handle signals.
    pub fn spin(&self) -> crate::Result<()> {
        self.spin_until(None).map(|_| ())
    }

    /// As [`spin`](Self::spin), at most for `timeout`; returns whether the node was shut down. After a
    /// timeout the node continues, and this may be called again.
    ///
    /// # Errors
    ///
    /// As [`spin`](Self::spin).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let folder = tempfile::tempdir()?;
    /// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
    /// # let node = cortex_std::Node::builder("robot").discovery(&address).create()?;
    /// # node.handle().shutdown();
    /// while !node.spin_timeout(Duration::from_secs(1))? {
    ///     println!("{:?}", node.stats());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "true means that the node was shut down"]
    pub fn spin_timeout(&self, timeout: Duration) -> crate::Result<bool> {
        self.spin_until(Instant::now().checked_add(timeout))
    }

    fn spin_until(&self, deadline: Option<Instant>) -> crate::Result<bool> {
        #[cfg(feature = "tokio")]
        if !self.tasks.is_empty() {
            tracing::warn!(node = self.name(), "spin calls no async callbacks: use run");
        }
        let _listening = listen(self.runtime.clone())?;
        let is_stopping = self.runtime.wait_for_shutdown(deadline);
        if is_stopping {
            self.runtime.close();
        }
        Ok(is_stopping)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.runtime.close();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("name", &self.runtime.name).finish_non_exhaustive()
    }
}

/// A handle to a node, for any thread.
#[derive(Clone)]
pub struct NodeHandle {
    runtime: Arc<Runtime>,
}

impl NodeHandle {
    /// Shuts the node down: ends [`Node::run`] and [`Node::spin`] and closes its publishers and
    /// subscribers.
    ///
    /// Callable from any thread and any callback. Returns when all parts are closed, after two seconds at
    /// most; at once on a thread of the node while another thread closes it.
    pub fn shutdown(&self) {
        self.runtime.close();
    }

    /// As [`Node::stats`].
    #[must_use]
    pub fn stats(&self) -> NodeStats {
        self.runtime.stats.snapshot()
    }

    /// Whether the node was shut down.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.runtime.is_closed()
    }
}

impl fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeHandle").field("name", &self.runtime.name).finish_non_exhaustive()
    }
}
