//! What the board subscribes to: a thread for each topic, which finds it, follows it and hands on
//! what comes.

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

use crate::failure::with_sources;
use crate::output::note;

/// Messages that wait for the line.
const QUEUE: usize = 32;
/// How soon the end is noticed.
const LOOK: Duration = Duration::from_millis(50);
/// How often the daemon is asked where the publisher is.
const REVIEW: Duration = Duration::from_millis(300);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_millis(500);

type Frames = Vec<Vec<u8>>;

/// All topics that the board subscribes to.
#[derive(Debug)]
pub(super) struct Feed {
    discovery: String,
    topics: HashMap<String, Tap>,
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

    /// Readable when there may be a message.
    pub(super) fn wake(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// A message for the board.
    pub(super) fn take(&self) -> Option<Frames> {
        let message = self.messages.try_recv().ok();
        if message.is_none() {
            // Awake, and there is nothing: sleep until there is. One that came just now has woken
            // us again, or is found when the wait ends.
            let _ = rustix::io::read(&self.wake, &mut [0; 8]);
            return self.messages.try_recv().ok();
        }
        message
    }

    /// Forgets what waits.
    pub(super) fn discard(&self) {
        while self.messages.try_recv().is_ok() {}
    }

    /// Messages that found the line too slow.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Subscribes to what the board says, and to nothing else.
    pub(super) fn follow(&mut self, hello: &Hello<'_>, is_new: bool) {
        let says = |direction, name: &str| {
            hello.topics.into_iter().any(|topic| topic.direction == direction && topic.name == name)
        };
        // What it publishes itself would come back to it for ever.
        let is_wanted =
            |name: &str| says(Direction::Subscribed, name) && !says(Direction::Published, name);
        self.topics.retain(|name, _| is_wanted(name));
        for topic in hello.topics.into_iter().filter(|topic| is_wanted(topic.name)) {
            if self.topics.contains_key(topic.name) {
                continue;
            }
            match self.tap(topic.name) {
                Ok(tap) => {
                    self.topics.insert(topic.name.to_owned(), tap);
                }
                Err(error) if is_new => {
                    let error = with_sources(error.as_ref());
                    note(&format!("cortex: {:?} is not sent to the board: {error}", topic.name));
                }
                Err(_) => {}
            }
        }
    }

    fn tap(&self, topic: &str) -> Result<Tap, Box<dyn std::error::Error>> {
        let stop = StopToken::new()?;
        let worker = Worker {
            topic: topic.to_owned(),
            client: Client::connect(&self.discovery, ANSWER)?,
            subscriber: RawSubscriber::with_queue(100)?,
            address: None,
            reviewed: None,
            messages: self.sender.clone(),
            wake: Arc::clone(&self.wake),
            dropped: Arc::clone(&self.dropped),
        };
        let token = stop.clone();
        let thread = std::thread::Builder::new()
            .name("gateway-feed".to_owned())
            .spawn(move || worker.run(&token))?;
        Ok(Tap { stop, thread: Some(thread) })
    }
}

/// The thread of one topic; ends with this.
#[derive(Debug)]
struct Tap {
    stop: StopToken,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    topic: String,
    client: Client,
    subscriber: RawSubscriber,
    address: Option<String>,
    reviewed: Option<Instant>,
    messages: SyncSender<Frames>,
    wake: Arc<OwnedFd>,
    dropped: Arc<AtomicU64>,
}

impl Worker {
    fn run(mut self, stop: &StopToken) {
        if let Err(error) = self.subscriber.subscribe(self.topic.as_bytes()) {
            tracing::warn!(topic = self.topic, %error, "not forwarded");
            return;
        }
        while !stop.is_stopped() {
            if self.reviewed.is_none_or(|at| at.elapsed() >= REVIEW) {
                if let Err(error) = self.find() {
                    tracing::warn!(topic = self.topic, %error, "not followed");
                }
                self.reviewed = Some(Instant::now());
            }
            match self.subscriber.recv_timeout(LOOK) {
                // ZeroMQ compares beginnings.
                Ok(Some(message)) if message.frame(0) == Some(self.topic.as_bytes()) => {
                    self.hand_on(message.frames().map(Vec::from).collect());
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(topic = self.topic, %error, "no longer forwarded");
                    return;
                }
            }
        }
    }

    /// Goes where the publisher is now.
    fn find(&mut self) -> Result<(), SocketError> {
        let Ok(Some(found)) = self.client.look_up(&self.topic) else { return Ok(()) };
        if self.address.as_ref() != Some(&found.topic.address) {
            self.subscriber.connect_also(&found.topic.address)?;
            if let Some(old) = self.address.replace(found.topic.address) {
                self.subscriber.disconnect(&old)?;
            }
        }
        Ok(())
    }

    fn hand_on(&self, frames: Frames) {
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
