//! Receiving a topic without its type, on threads that do nothing else.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cortex_std::discovery::{Client, Topic};
use cortex_std::raw::{RawMessage, RawSubscriber};
use cortex_std::wire::Header;

use crate::failure::Result;
use crate::interrupt::Interrupt;
use crate::output::{note, safe};

/// How soon an interrupt is noticed.
const LOOK: Duration = Duration::from_millis(50);
/// How often the daemon is asked who publishes.
const REVIEW: Duration = Duration::from_secs(1);
/// How long such an answer may take.
const ANSWER: Duration = Duration::from_millis(500);
/// Messages that wait in libzmq.
const QUEUE: i32 = 1000;
/// Publishers of one topic that are listened to: each takes a thread.
const MAX_PUBLISHERS: usize = 64;

/// A message of the topic, and when it came.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    /// Nanoseconds since the Unix epoch.
    pub(crate) wall_ns: u64,
    /// The node that publishes where it came from: numbers count for each.
    pub(crate) node: Arc<str>,
    pub(crate) message: RawMessage,
}

impl Arrival {
    /// What frame 1 says, where it is a header.
    pub(crate) fn header(&self) -> Option<Header> {
        Header::decode(self.message.frame(1)?).ok()
    }
}

/// Hands every message of a topic to `take`, from all its publishers, those that come later too,
/// until the command is interrupted. A thread for each takes messages as fast as they come, so that
/// no publisher waits for what `take` does not do at once.
///
/// # Errors
/// When there is no socket or thread.
pub(crate) fn open(
    publishers: &[Topic],
    discovery: &str,
    take: impl Fn(Arrival) + Send + Sync + 'static,
) -> Result<()> {
    let Some(name) = publishers.first().map(|topic| topic.name.clone()) else { return Ok(()) };
    let mut taps = Taps { taps: Vec::new(), take: Arc::new(take) };
    taps.follow(publishers)?;
    let mut client = Client::connect(discovery, ANSWER)?;
    let review = move || {
        let interrupt = Interrupt::get();
        while !interrupt.is_set() {
            interrupt.wait(REVIEW);
            // Who is not registered may still send, and a daemon that is gone for a while changes
            // nothing.
            if let Ok(Some(found)) = client.look_up(&name)
                && let Err(error) = taps.follow(&found.publishers)
            {
                tracing::warn!(topic = name, ?error, "not followed");
            }
        }
    };
    std::thread::Builder::new().name("cortex-taps".to_owned()).spawn(review)?;
    Ok(())
}

/// What receives one topic.
struct Taps {
    taps: Vec<Tap>,
    take: Arc<dyn Fn(Arrival) + Send + Sync>,
}

/// What receives from one publisher, until it is dropped.
struct Tap {
    publisher: Topic,
    is_over: Arc<AtomicBool>,
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

impl Taps {
    /// Receives from these publishers and from no others.
    fn follow(&mut self, publishers: &[Topic]) -> Result<()> {
        let publishers = publishers.get(..MAX_PUBLISHERS).unwrap_or(publishers);
        for publisher in publishers {
            if !self.taps.iter().any(|tap| tap.publisher == *publisher) {
                self.taps.push(Tap::open(publisher, Arc::clone(&self.take))?);
            }
        }
        self.taps.retain(|tap| publishers.contains(&tap.publisher));
        Ok(())
    }
}

impl Tap {
    fn open(publisher: &Topic, take: Arc<dyn Fn(Arrival) + Send + Sync>) -> Result<Self> {
        let mut subscriber = RawSubscriber::with_queue(QUEUE)?;
        subscriber.connect_also(&publisher.address)?;
        subscriber.subscribe(publisher.name.as_bytes())?;
        let is_over = Arc::new(AtomicBool::new(false));
        let tap = Self { publisher: publisher.clone(), is_over: Arc::clone(&is_over) };
        let name = publisher.name.clone();
        let node: Arc<str> = publisher.publisher_node.as_str().into();
        let receive = move || {
            let interrupt = Interrupt::get();
            while !interrupt.is_set() && !is_over.load(Ordering::Relaxed) {
                match subscriber.recv_timeout(LOOK) {
                    // ZeroMQ compares beginnings.
                    Ok(Some(message)) if message.frame(0) == Some(name.as_bytes()) => {
                        let (at, node) = (Instant::now(), Arc::clone(&node));
                        take(Arrival { at, wall_ns: wall_ns(), node, message });
                    }
                    Ok(_) => {}
                    Err(error) => {
                        note(&format!("cortex: receiving {} ended: {error}", safe(&name)));
                        return;
                    }
                }
            }
        };
        std::thread::Builder::new().name("cortex-tap".to_owned()).spawn(receive)?;
        Ok(tap)
    }
}

/// Nanoseconds since the Unix epoch, by this machine's clock.
pub(crate) fn wall_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Messages that wait to be shown: the newest, in a bounded amount of memory.
#[derive(Debug, Clone)]
pub(crate) struct Backlog {
    shared: Arc<(Mutex<Waiting>, Condvar)>,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: VecDeque<Arrival>,
    bytes: usize,
    skipped: u64,
}

/// Bytes that wait at most, but for the newest message.
const MAX_BYTES: usize = 64 << 20;
/// Messages that wait at most.
const MAX_COUNT: usize = 10_000;

impl Backlog {
    pub(crate) fn new() -> Self {
        Self { shared: Arc::default() }
    }

    pub(crate) fn push(&self, arrival: Arrival) {
        let mut waiting = self.lock();
        waiting.bytes += arrival.message.len();
        waiting.messages.push_back(arrival);
        while waiting.messages.len() > 1
            && (waiting.bytes > MAX_BYTES || waiting.messages.len() > MAX_COUNT)
        {
            waiting.pop();
            waiting.skipped += 1;
        }
        drop(waiting);
        self.shared.1.notify_one();
    }

    /// The oldest that waits; `None`: nothing came in time.
    pub(crate) fn pop(&self, timeout: Duration) -> Option<Arrival> {
        let waiting = self.lock();
        let is_empty = |waiting: &mut Waiting| waiting.messages.is_empty();
        let waited = self.shared.1.wait_timeout_while(waiting, timeout, is_empty);
        waited.unwrap_or_else(PoisonError::into_inner).0.pop()
    }

    /// How many were dropped because others came before they were taken.
    pub(crate) fn skipped(&self) -> u64 {
        self.lock().skipped
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn pop(&mut self) -> Option<Arrival> {
        let arrival = self.messages.pop_front()?;
        self.bytes = self.bytes.saturating_sub(arrival.message.len());
        Some(arrival)
    }
}
