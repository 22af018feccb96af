//! A node: owns its publishers, subscribers and timers, and runs until it is told to stop.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::agent::Agent;
use crate::census::{Census, NodeStats};
use crate::discovery::{Host, default_address};
use crate::endpoint::Endpoint;
use crate::error::CreateError;
use crate::latency;
use crate::place::Names;
use crate::publisher::PublisherBuilder;
use crate::raw::{self, RawPublisher};
use crate::signal::{Listener, listen};
use crate::socket::context::Context;
use crate::stop::StopToken;
#[cfg(feature = "tokio")]
use crate::subscriber::Outcome;
use crate::subscriber::SubscriberBuilder;
use crate::thread::{STOP_LIMIT, ThreadHandle, ThreadOptions, Threads};
#[cfg(feature = "tokio")]
use crate::timer::Tick;
use crate::timer::TimerBuilder;
use crate::wire::Message;

/// Where sockets lie unless said otherwise, as in Python.
const FOLDER: &str = "/tmp/cortex";

/// Settings of a node that is to be made.
#[derive(Debug)]
#[must_use]
pub struct NodeBuilder {
    name: String,
    discovery: Option<String>,
    folder: Option<PathBuf>,
    hosts: bool,
    trace_latency: Option<usize>,
}

impl NodeBuilder {
    /// Where the daemon is; `CORTEX_DISCOVERY` or the default address unless set.
    pub fn discovery(mut self, address: &str) -> Self {
        self.discovery = Some(address.to_owned());
        self
    }

    /// The folder for the sockets of topics; beside the daemon's socket unless set.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Whether this node is the discovery daemon itself whenever none listens at an ipc address of
    /// this machine; it is unless said otherwise.
    ///
    /// The daemon runs on threads of its own. When the node ends, another one takes over and goes on
    /// with what was known. An address with tcp is never hosted: run `cortex-discovery` there.
    pub fn host_discovery(mut self, hosts: bool) -> Self {
        self.hosts = hosts;
        self
    }

    /// How many times of each stage the subscribers keep; `CORTEX_TRACE_LATENCY` or none unless set.
    /// See [`SubscriberBuilder::trace_latency`].
    pub fn trace_latency(mut self, samples: usize) -> Self {
        self.trace_latency = Some(samples);
        self
    }

    /// Makes the node. The daemon need not run yet.
    ///
    /// # Errors
    ///
    /// When the name or the address will not do, or the system has no thread or socket left.
    pub fn build(self) -> Result<Node, CreateError> {
        check_name("node", &self.name)?;
        let discovery = self.discovery.unwrap_or_else(default_address);
        let endpoint: Endpoint = discovery.parse()?;
        let beside = endpoint.file_path().and_then(Path::parent);
        let folder = self.folder.or(beside.map(Path::to_owned)).unwrap_or_else(|| FOLDER.into());
        let context = Context::shared()?;
        let host = match self.hosts {
            true => Host::start(&endpoint, &self.name)?,
            false => None,
        };
        let agent = Agent::start(&context, &discovery, &self.name)?;
        let shared = Arc::new(Shared {
            name: self.name,
            context,
            endpoint,
            names: Arc::default(),
            folder,
            agent,
            host,
            threads: Arc::default(),
            census: Census::default(),
            trace_latency: self.trace_latency.unwrap_or_else(latency::from_environment),
            is_closed: AtomicBool::new(false),
            closables: Mutex::default(),
            end: Mutex::default(),
            end_changed: Condvar::new(),
            #[cfg(feature = "tokio")]
            ending: tokio::sync::Notify::new(),
        });
        Ok(Node {
            shared,
            #[cfg(feature = "tokio")]
            tasks: Tasks::default(),
        })
    }
}

/// A participant in the graph.
///
/// Its callbacks run side by side in one task, like those of the original: they may share state
/// without locks, and one that blocks its thread holds up the others.
///
/// A node that is dropped, or whose [`run`](Self::run) ends, takes its publishers and subscribers
/// with it and leaves no registration and no file.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use cortex_std::Node;
/// use cortex_std::wire::StringMessage;
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let node = Node::builder("clock").build()?;
///     let time = node.publisher::<StringMessage>("/time").create()?;
///     node.timer(Duration::from_secs(1), async move |tick| {
///         time.publish(&StringMessage { data: &format!("tick {}", tick.index) }).map(drop)
///     });
///     node.subscriber::<StringMessage>("/time").on_message(async |message, header| {
///         println!("[{}] {}", header.sequence, message.data);
///     })?;
///     node.run().await?;
///     Ok(())
/// }
/// ```
pub struct Node {
    shared: Arc<Shared>,
    #[cfg(feature = "tokio")]
    tasks: Tasks,
}

impl Node {
    /// Settings of a node of this name. Names tell who publishes what: no two running nodes should
    /// have the same.
    pub fn builder(name: &str) -> NodeBuilder {
        NodeBuilder {
            name: name.to_owned(),
            discovery: None,
            folder: None,
            hosts: true,
            trace_latency: None,
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Settings of a publisher of messages of type `M` on `topic`.
    pub fn publisher<M: Message + 'static>(&self, topic: &str) -> PublisherBuilder<'_, M> {
        PublisherBuilder::new(&self.shared, topic)
    }

    /// Settings of a subscriber to messages of type `M` on `topic`.
    pub fn subscriber<M: Message + 'static>(&self, topic: &str) -> SubscriberBuilder<'_, M> {
        SubscriberBuilder::new(
            &self.shared,
            #[cfg(feature = "tokio")]
            &self.tasks,
            topic,
        )
    }

    /// A publisher of frames that were made elsewhere, registered as one of `topic`: for bridges and
    /// tools. `message_type` is the bare name of the class, `fingerprint` that of the header.
    ///
    /// What is sent must be a whole Cortex message: topic, header, metadata, buffers.
    ///
    /// # Errors
    ///
    /// When the topic's name will not do, this node publishes it already, or libzmq refuses.
    pub fn raw_publisher(
        &self,
        topic: &str,
        message_type: &str,
        fingerprint: u64,
    ) -> Result<RawPublisher, CreateError> {
        raw::bind_in_node(&self.shared, topic, message_type, fingerprint)
    }

    /// Calls back every `period`, from within [`run`](Self::run), on an absolute grid; ticks that
    /// were missed come in a burst.
    #[cfg(feature = "tokio")]
    pub fn timer<F, R>(&self, period: Duration, callback: F)
    where
        F: AsyncFnMut(Tick) -> R + 'static,
        R: Outcome + 'static,
    {
        self.timer_builder(period).on_tick(callback);
    }

    /// Settings of a timer: one whose callback is called from within [`run`](Self::run), or on a
    /// thread of its own for control loops.
    pub fn timer_builder(&self, period: Duration) -> TimerBuilder<'_> {
        TimerBuilder::new(
            &self.shared,
            #[cfg(feature = "tokio")]
            &self.tasks,
            period,
        )
    }

    /// Starts a thread that ends with this node.
    ///
    /// When the node shuts down, the token is stopped, and the thread has a second to end; its
    /// publishers work until then. One that does not end is reported by name in the log and left
    /// running. Its panic is reported and ends nothing else.
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
    /// # let node = Node::builder("robot").discovery(&address).build()?;
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
    ) -> Result<ThreadHandle, CreateError> {
        self.shared.threads.spawn(options, body)
    }

    /// What all publishers, subscribers and timers have done so far: of those that are there, and
    /// once the node was shut down, of those that were there then.
    #[must_use]
    pub fn stats(&self) -> NodeStats {
        self.shared.census.take()
    }

    /// A handle to this node for other threads and for callbacks.
    #[must_use]
    pub fn handle(&self) -> NodeHandle {
        NodeHandle { shared: Arc::clone(&self.shared) }
    }

    /// Runs callbacks until Ctrl-C, SIGTERM or [`NodeHandle::shutdown`]; then everything of this
    /// node is unregistered and closed.
    ///
    /// A callback that blocks the thread holds that up. So after a signal the node is closed from
    /// elsewhere half a second later, and where that does not help, the process is ended before two
    /// seconds are over, with code 130 for Ctrl-C and 143 for SIGTERM; sooner at a second signal.
    ///
    /// Once a node ran, a signal that finds none running ends the process as it always did.
    ///
    /// # Errors
    ///
    /// When the system has no thread or file descriptor to listen for signals with.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    #[cfg(feature = "tokio")]
    pub async fn run(&self) -> std::io::Result<()> {
        use futures_util::StreamExt;
        use futures_util::stream::FuturesUnordered;

        let _listening = listen(self.shared.clone())?;
        let mut running = FuturesUnordered::new();
        while !self.shared.is_to_end() {
            running.extend(self.tasks.take());
            tokio::select! {
                () = self.shared.ending.notified() => {}
                () = self.tasks.added.notified() => {}
                Some(()) = running.next() => {}
            }
        }
        // Callbacks take with them what they hold.
        self.shared.census.end();
        drop(running);
        self.shared.close();
        Ok(())
    }

    /// Blocks until Ctrl-C, SIGTERM or [`NodeHandle::shutdown`]; then everything of this node is
    /// unregistered and closed. For nodes whose work is done on threads: it calls no async callback
    /// and needs no tokio.
    ///
    /// Signals are treated as in [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// When the system has no thread or file descriptor to listen for signals with.
    pub fn spin(&self) -> std::io::Result<()> {
        #[cfg(feature = "tokio")]
        if !self.tasks.is_empty() {
            tracing::warn!(node = self.name(), "spin calls no async callbacks: use run");
        }
        let _listening = listen(self.shared.clone())?;
        self.shared.wait_for_end();
        self.shared.close();
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// A handle to a node, for any thread.
#[derive(Clone)]
pub struct NodeHandle {
    shared: Arc<Shared>,
}

impl NodeHandle {
    /// Ends [`Node::run`] and [`Node::spin`]; publishers and subscribers of the node work no more.
    ///
    /// Callable from any thread and any callback. Returns when everything is closed, which takes a
    /// second or two at most; called from a thread of the node while somebody else closes it, at
    /// once.
    pub fn shutdown(&self) {
        self.shared.close();
    }

    /// As [`Node::stats`].
    #[must_use]
    pub fn stats(&self) -> NodeStats {
        self.shared.census.take()
    }

    /// Whether the node was shut down.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.shared.is_closed.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeHandle").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

/// What a node must close at its end.
pub(crate) trait Closable: Send + Sync {
    /// Ends it; what was promised to others is kept for as long as the node allows.
    fn close(&self);

    /// Ends what waits inside, since the node is about to close.
    fn interrupt(&self) {}

    /// Does what must be done now and then though nobody asks.
    fn tend(&self) {}
}

/// What a node's parts have in common.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) context: Context,
    /// Where the daemon is asked.
    pub(crate) endpoint: Endpoint,
    /// The topics that are published here, where no file tells.
    pub(crate) names: Arc<Names>,
    /// Below it lie the sockets of topics.
    pub(crate) folder: PathBuf,
    pub(crate) agent: Arc<Agent>,
    /// The daemon, wherever this node is the one to run it.
    host: Option<Host>,
    pub(crate) threads: Arc<Threads>,
    pub(crate) census: Census,
    /// Samples that subscribers keep unless told otherwise.
    pub(crate) trace_latency: usize,
    is_closed: AtomicBool,
    closables: Mutex<Vec<Weak<dyn Closable>>>,
    end: Mutex<End>,
    end_changed: Condvar,
    #[cfg(feature = "tokio")]
    ending: tokio::sync::Notify,
}

/// How far a node's end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum End {
    #[default]
    Open,
    /// A signal came.
    Asked,
    /// This thread closes it.
    Closing(ThreadId),
    Closed,
}

/// How long somebody waits for another one who closes the node.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

impl Shared {
    /// Takes part in the node's end.
    pub(crate) fn add(&self, part: &Arc<dyn Closable>) -> Result<(), CreateError> {
        let mut closables = self.closables.lock().unwrap_or_else(PoisonError::into_inner);
        // Checked under the lock that `close` takes, so that no part is forgotten.
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(CreateError::ShutDown);
        }
        closables.retain(|part| part.strong_count() > 0);
        closables.push(Arc::downgrade(part));
        self.agent.tend(Arc::downgrade(part));
        Ok(())
    }

    fn close(&self) {
        if !self.begin_closing() {
            return;
        }
        self.census.end();
        let parts = {
            let mut closables = self.closables.lock().unwrap_or_else(PoisonError::into_inner);
            self.is_closed.store(true, Ordering::SeqCst);
            std::mem::take(&mut *closables)
        };
        let deadline = Instant::now() + STOP_LIMIT;
        self.threads.stop();
        // A thread that waits for room would be waited for in vain.
        for part in parts.iter().filter_map(Weak::upgrade) {
            part.interrupt();
        }
        // Unregistered first: nobody is sent to a socket that is closed.
        self.agent.shut_down();
        // Until then they may publish; a motor is told to stop.
        self.threads.join(deadline);
        for part in parts.iter().filter_map(Weak::upgrade) {
            part.close();
        }
        // Last: others may ask it until then, and the next one goes on with what it knew.
        if let Some(host) = &self.host {
            host.shut_down();
        }
        self.set_end(End::Closed);
    }

    /// Whether this thread is to close the node; otherwise somebody does, and is waited for.
    fn begin_closing(&self) -> bool {
        let current = std::thread::current().id();
        // Whoever closes the node waits for its threads.
        let is_waited_for = self.threads.has_current();
        let mut end = self.lock_end();
        let deadline = Instant::now() + CLOSE_LIMIT;
        loop {
            match *end {
                End::Open | End::Asked => break,
                End::Closed => return false,
                End::Closing(closer) if closer == current || is_waited_for => return false,
                End::Closing(_) => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.end_changed.wait_timeout(end, left);
            end = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *end = End::Closing(current);
        drop(end);
        self.tell_end();
        true
    }

    fn wait_for_end(&self) {
        let end = self.lock_end();
        let waited = self.end_changed.wait_while(end, |end| *end == End::Open);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    #[cfg(feature = "tokio")]
    fn is_to_end(&self) -> bool {
        *self.lock_end() != End::Open
    }

    fn set_end(&self, next: End) {
        *self.lock_end() = next;
        self.tell_end();
    }

    fn tell_end(&self) {
        self.end_changed.notify_all();
        #[cfg(feature = "tokio")]
        self.ending.notify_one();
    }

    fn lock_end(&self) -> MutexGuard<'_, End> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Shared {
    fn name(&self) -> &str {
        &self.name
    }

    fn ask_to_stop(&self) {
        let mut end = self.lock_end();
        if *end == End::Open {
            *end = End::Asked;
        }
        drop(end);
        self.tell_end();
    }

    fn close(&self) {
        Self::close(self);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Futures that [`Node::run`] is to drive.
#[cfg(feature = "tokio")]
#[derive(Default)]
pub(crate) struct Tasks {
    new: std::cell::RefCell<Vec<Task>>,
    added: tokio::sync::Notify,
}

#[cfg(feature = "tokio")]
type Task = std::pin::Pin<Box<dyn Future<Output = ()>>>;

#[cfg(feature = "tokio")]
impl Tasks {
    pub(crate) fn add(&self, task: impl Future<Output = ()> + 'static) {
        self.new.borrow_mut().push(Box::pin(task));
        self.added.notify_one();
    }

    fn take(&self) -> Vec<Task> {
        self.new.take()
    }

    fn is_empty(&self) -> bool {
        self.new.borrow().is_empty()
    }
}

#[cfg(feature = "tokio")]
impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}

/// Bytes of the longest name. libzmq's store of subscriptions recurses once per byte.
const MAX_NAME_LEN: usize = 1024;

/// Refuses names that no log line and no subscription can hold.
pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), CreateError> {
    if name.is_empty() || name.len() > MAX_NAME_LEN || name.chars().any(char::is_control) {
        return Err(CreateError::Name { what, name: name.to_owned() });
    }
    Ok(())
}
