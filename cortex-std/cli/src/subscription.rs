//! Receiving a topic without its type, on dedicated threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cortex_std::discovery::{Client, Topic, unreachable_publisher};
use cortex_std::raw::{RawMessage, RawSubscriber};
use cortex_std::wire::Header;

use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::output::{escaped, print_stderr};
use crate::time::wall_ns;

/// Longest time between an interrupt and the end of a thread.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Time between two lookups of the publishers.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(1);
/// Timeout of a lookup.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(500);
/// Receive queue of a socket, in messages.
const QUEUE: i32 = 1000;
/// Limit of publishers per topic, since each takes a thread.
const MAX_PUBLISHERS: usize = 64;

/// A message, and when it was received.
#[derive(Debug)]
pub(crate) struct ReceivedMessage {
    pub(crate) at: Instant,
    /// Nanoseconds since the Unix epoch.
    pub(crate) wall_ns: u64,
    /// The node that publishes at the address: each publisher has its own sequence numbers.
    pub(crate) node: Arc<str>,
    pub(crate) message: RawMessage,
}

impl ReceivedMessage {
    /// The header in frame 1, if it is valid.
    pub(crate) fn header(&self) -> Option<Header> {
        Header::decode(self.message.frame(1)?).ok()
    }
}

type Callback = Arc<dyn Fn(ReceivedMessage) + Send + Sync>;

/// Calls `callback` with every message of a topic until the command is interrupted, from its current
/// publishers and those that register later. Each publisher has a receiving thread, on which the
/// callback runs: it must not block.
///
/// # Errors
/// If a socket or thread cannot be created.
pub(crate) fn receive(
    publishers: &[Topic],
    discovery: &str,
    callback: impl Fn(ReceivedMessage) + Send + Sync + 'static,
) -> Result<()> {
    let Some(name) = publishers.first().map(|topic| topic.name.clone()) else { return Ok(()) };
    let mut subscription = Subscription {
        connections: Vec::new(),
        discovery: discovery.to_owned(),
        callback: Arc::new(callback),
    };
    subscription.set_publishers(publishers)?;
    let mut client = Client::connect(discovery, REQUEST_TIMEOUT)?;
    let track_publishers = move || {
        let interrupt = Interrupt::get();
        while !interrupt.is_set() {
            interrupt.wait(LOOKUP_INTERVAL);
            // If the topic is not found, or no daemon answers, the publishers may still send.
            if let Ok(Some(found)) = client.look_up(&name)
                && let Err(error) = subscription.set_publishers(&found.publishers)
            {
                tracing::warn!(topic = name, ?error, "cannot connect to a new publisher");
            }
        }
    };
    std::thread::Builder::new().name("cortex-lookup".to_owned()).spawn(track_publishers)?;
    Ok(())
}

/// A subscription to one topic.
struct Subscription {
    connections: Vec<Connection>,
    /// The address of the daemon.
    discovery: String,
    callback: Callback,
}

/// The receiving thread of one publisher, which ends when this is dropped.
struct Connection {
    publisher: Topic,
    is_stopping: Arc<AtomicBool>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }
}

impl Subscription {
    /// Connects to these publishers and disconnects from all others.
    fn set_publishers(&mut self, publishers: &[Topic]) -> Result<()> {
        let publishers = publishers.get(..MAX_PUBLISHERS).unwrap_or(publishers);
        for publisher in publishers {
            if !self.connections.iter().any(|connection| connection.publisher == *publisher) {
                self.connections.push(Connection::open(
                    publisher,
                    &self.discovery,
                    Arc::clone(&self.callback),
                )?);
            }
        }
        self.connections.retain(|connection| publishers.contains(&connection.publisher));
        Ok(())
    }
}

impl Connection {
    fn open(publisher: &Topic, discovery: &str, callback: Callback) -> Result<Self> {
        if let Some(reason) = unreachable_publisher(discovery, &publisher.address) {
            let (name, node) = (&publisher.name, &publisher.publisher_node);
            print_stderr(&escaped(&format!(
                "cortex: {name} of {node} cannot be reached: {reason}"
            )));
        }
        let mut subscriber = RawSubscriber::with_queue(QUEUE)?;
        subscriber.connect_also(&publisher.address)?;
        subscriber.subscribe(publisher.name.as_bytes())?;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let connection =
            Self { publisher: publisher.clone(), is_stopping: Arc::clone(&is_stopping) };
        let name = publisher.name.clone();
        let node: Arc<str> = publisher.publisher_node.as_str().into();
        let receive = move || {
            let interrupt = Interrupt::get();
            while !interrupt.is_set() && !is_stopping.load(Ordering::Relaxed) {
                match subscriber.recv_timeout(POLL_INTERVAL) {
                    // ZeroMQ matches prefixes: other topics may begin with this name.
                    Ok(Some(message)) if message.frame(0) == Some(name.as_bytes()) => {
                        let (at, node) = (Instant::now(), Arc::clone(&node));
                        callback(ReceivedMessage { at, wall_ns: wall_ns(), node, message });
                    }
                    Ok(_) => {}
                    Err(error) => {
                        let name = escaped(&name);
                        print_stderr(&format!("cortex: receiving {name} failed: {error}"));
                        return;
                    }
                }
            }
        };
        std::thread::Builder::new().name("cortex-receive".to_owned()).spawn(receive)?;
        Ok(connection)
    }
}

/// A queue of messages that drops the oldest ones when it is full.
#[derive(Debug, Clone)]
pub(crate) struct MessageQueue {
    shared: Arc<(Mutex<Queued>, Condvar)>,
}

#[derive(Debug, Default)]
struct Queued {
    messages: VecDeque<ReceivedMessage>,
    bytes: usize,
    dropped: u64,
}

/// Capacity in bytes; one message is kept even if it is longer.
const MAX_BYTES: usize = 64 << 20;
/// Capacity in messages.
const MAX_COUNT: usize = 10_000;

impl MessageQueue {
    pub(crate) fn new() -> Self {
        Self { shared: Arc::default() }
    }

    pub(crate) fn push(&self, received: ReceivedMessage) {
        let mut queued = self.lock();
        queued.bytes += received.message.len();
        queued.messages.push_back(received);
        while queued.messages.len() > 1
            && (queued.bytes > MAX_BYTES || queued.messages.len() > MAX_COUNT)
        {
            queued.pop();
            queued.dropped += 1;
        }
        drop(queued);
        self.shared.1.notify_one();
    }

    /// Takes the oldest message; `None` if none arrives within `timeout`.
    pub(crate) fn pop(&self, timeout: Duration) -> Option<ReceivedMessage> {
        let queued = self.lock();
        let is_empty = |queued: &mut Queued| queued.messages.is_empty();
        let waited = self.shared.1.wait_timeout_while(queued, timeout, is_empty);
        waited.unwrap_or_else(PoisonError::into_inner).0.pop()
    }

    /// The number of messages that were dropped because the queue was full.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queued {
    fn pop(&mut self) -> Option<ReceivedMessage> {
        let received = self.messages.pop_front()?;
        self.bytes = self.bytes.saturating_sub(received.message.len());
        Some(received)
    }
}
