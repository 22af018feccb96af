//! Messages for the board: a thread for each topic that it subscribes to, which finds the publisher
//! and queues its messages.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cortex_std::discovery::Client;
use cortex_std::raw::RawSubscriber;
use cortex_std::wire::link::{Direction, Hello};
use cortex_std::{SocketError, StopToken};
use rustix::event::{EventfdFlags, eventfd};

use crate::output::print_stderr;
use cortex_std::ErrorChain;

/// Capacity of the queue for the link, in messages.
const QUEUE: usize = 32;
/// Receive queue of a socket, in messages.
const RECEIVE_QUEUE: i32 = 100;
/// Longest time between a stop request and the end of a thread.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Time between two lookups of the publisher.
const LOOKUP_INTERVAL: Duration = Duration::from_millis(300);
/// Timeout of a lookup.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(500);

type Frames = Vec<Vec<u8>>;

/// The subscriptions of the board, and the queue of their messages.
#[derive(Debug)]
pub(super) struct Feed {
    discovery: String,
    topics: HashMap<String, TopicThread>,
    messages: Receiver<Frames>,
    sender: SyncSender<Frames>,
    wake: Arc<OwnedFd>,
    dropped: Arc<AtomicU64>,
}

impl Feed {
    pub(super) fn new(discovery: &str) -> io::Result<Self> {
        let (sender, messages) = sync_channel(QUEUE);
        Ok(Self {
            discovery: discovery.to_owned(),
            topics: HashMap::new(),
            messages,
            sender,
            wake: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?),
            dropped: Arc::default(),
        })
    }

    /// A descriptor that is readable when a message may be queued.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Takes the next message for the board.
    pub(super) fn take(&self) -> Option<Frames> {
        let message = self.messages.try_recv().ok();
        if message.is_none() {
            // The queue is empty: clear the descriptor. A message that is queued meanwhile either
            // sets it again or is found by the second attempt.
            let _ = rustix::io::read(&self.wake, &mut [0; 8]);
            return self.messages.try_recv().ok();
        }
        message
    }

    /// Drops all queued messages.
    pub(super) fn discard(&self) {
        while self.messages.try_recv().is_ok() {}
    }

    /// The number of messages that were dropped because the queue was full.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Subscribes to the topics that a hello lists as subscribed, and unsubscribes from all others. A
    /// failure is reported only for a new hello, and retried at each one.
    pub(super) fn update(&mut self, hello: &Hello<'_>, is_new: bool) {
        let lists = |direction, name: &str| {
            hello.topics.into_iter().any(|topic| topic.direction == direction && topic.name == name)
        };
        // The board's own messages would return to it in an endless loop.
        let is_wanted =
            |name: &str| lists(Direction::Subscribed, name) && !lists(Direction::Published, name);
        self.topics.retain(|name, _| is_wanted(name));
        for topic in hello.topics.into_iter().filter(|topic| is_wanted(topic.name)) {
            if self.topics.contains_key(topic.name) {
                continue;
            }
            match self.subscribe(topic.name) {
                Ok(thread) => {
                    self.topics.insert(topic.name.to_owned(), thread);
                }
                Err(error) if is_new => {
                    let error = ErrorChain(error.as_ref()).to_string();
                    let name = topic.name;
                    print_stderr(&format!("cortex: cannot forward {name:?} to the board: {error}"));
                }
                Err(_) => {}
            }
        }
    }

    fn subscribe(&self, topic: &str) -> Result<TopicThread, Box<dyn std::error::Error>> {
        let stop = StopToken::new()?;
        let forwarding = ForwardLoop {
            topic: topic.to_owned(),
            client: Client::connect(&self.discovery, REQUEST_TIMEOUT)?,
            subscriber: RawSubscriber::with_queue(RECEIVE_QUEUE)?,
            address: None,
            looked_up: None,
            messages: self.sender.clone(),
            wake: Arc::clone(&self.wake),
            dropped: Arc::clone(&self.dropped),
        };
        let token = stop.clone();
        let thread = std::thread::Builder::new()
            .name("gateway-feed".to_owned())
            .spawn(move || forwarding.run(&token))?;
        Ok(TopicThread { stop, thread: Some(thread) })
    }
}

/// The thread of one topic, which ends when this is dropped.
#[derive(Debug)]
struct TopicThread {
    stop: StopToken,
    thread: Option<JoinHandle<()>>,
}

impl Drop for TopicThread {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The loop of one topic's thread.
struct ForwardLoop {
    topic: String,
    client: Client,
    subscriber: RawSubscriber,
    address: Option<String>,
    looked_up: Option<Instant>,
    messages: SyncSender<Frames>,
    wake: Arc<OwnedFd>,
    dropped: Arc<AtomicU64>,
}

impl ForwardLoop {
    fn run(mut self, stop: &StopToken) {
        if let Err(error) = self.subscriber.subscribe(self.topic.as_bytes()) {
            tracing::warn!(topic = self.topic, error = %ErrorChain(&error), "cannot subscribe for the board");
            return;
        }
        while !stop.is_stopped() {
            if self.looked_up.is_none_or(|at| at.elapsed() >= LOOKUP_INTERVAL) {
                if let Err(error) = self.connect_to_publisher() {
                    tracing::warn!(topic = self.topic, error = %ErrorChain(&error), "cannot connect to the publisher");
                }
                self.looked_up = Some(Instant::now());
            }
            match self.subscriber.recv_timeout(POLL_INTERVAL) {
                // ZeroMQ matches prefixes: other topics may begin with this name.
                Ok(Some(message)) if message.frame(0) == Some(self.topic.as_bytes()) => {
                    self.forward(message.frames().map(Vec::from).collect());
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(topic = self.topic, error = %ErrorChain(&error), "receiving for the board failed");
                    return;
                }
            }
        }
    }

    /// Connects to the current address of the publisher.
    fn connect_to_publisher(&mut self) -> Result<(), SocketError> {
        let Ok(Some(found)) = self.client.look_up(&self.topic) else { return Ok(()) };
        if self.address.as_ref() != Some(&found.topic.address) {
            self.subscriber.connect_also(&found.topic.address)?;
            if let Some(old) = self.address.replace(found.topic.address) {
                self.subscriber.disconnect(&old)?;
            }
        }
        Ok(())
    }

    fn forward(&self, frames: Frames) {
        match self.messages.try_send(frames) {
            Ok(()) => {
                let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
            }
            Err(TrySendError::Full(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}
