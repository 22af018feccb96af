//! Receiving a topic without its type, on a thread that does nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cortex_std::discovery::{Client, Topic};
use cortex_std::raw::{RawMessage, RawSubscriber};
use cortex_std::wire::Header;

use crate::failure::Result;
use crate::interrupt::Interrupt;

/// How soon an interrupt is noticed.
const LOOK: Duration = Duration::from_millis(50);
/// After so long a silence the daemon is asked whether the publisher is elsewhere.
const SILENCE: Duration = Duration::from_secs(1);
/// How long such an answer may take.
const ANSWER: Duration = Duration::from_millis(500);
/// Messages that wait in libzmq.
const QUEUE: i32 = 1000;

/// A message of the topic, and when it came.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    /// Nanoseconds since the Unix epoch.
    pub(crate) wall_ns: u64,
    pub(crate) message: RawMessage,
}

impl Arrival {
    /// What frame 1 says, where it is a header.
    pub(crate) fn header(&self) -> Option<Header> {
        Header::decode(self.message.frame(1)?).ok()
    }
}

/// Hands every message of `topic` to `take`, until the command is interrupted. The thread takes
/// messages as fast as they come, so that no publisher waits for what `take` does not do at once.
///
/// # Errors
/// When there is no socket or thread.
pub(crate) fn open(
    topic: &Topic,
    discovery: &str,
    mut take: impl FnMut(Arrival) + Send + 'static,
) -> Result<()> {
    let mut topic = topic.clone();
    let mut subscriber = RawSubscriber::with_queue(QUEUE)?;
    subscriber.connect_also(&topic.address)?;
    subscriber.subscribe(topic.name.as_bytes())?;
    let mut client = Client::connect(discovery, ANSWER)?;
    let interrupt = Interrupt::get();
    let receive = move || {
        let mut heard = Instant::now();
        while !interrupt.is_set() {
            match subscriber.recv_timeout(LOOK) {
                Ok(Some(message)) => {
                    heard = Instant::now();
                    // ZeroMQ compares beginnings.
                    if message.frame(0) == Some(topic.name.as_bytes()) {
                        take(Arrival { at: heard, wall_ns: wall_ns(), message });
                    }
                }
                Ok(None) if heard.elapsed() >= SILENCE => {
                    heard = Instant::now();
                    follow(&mut subscriber, &mut client, &mut topic);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(topic = topic.name, %error, "receiving ended");
                    return;
                }
            }
        }
    };
    std::thread::Builder::new().name("cortex-tap".to_owned()).spawn(receive)?;
    Ok(())
}

/// Goes where the publisher is now.
fn follow(subscriber: &mut RawSubscriber, client: &mut Client, topic: &mut Topic) {
    let Ok(Some(found)) = client.look_up(&topic.name) else { return };
    if found.topic.address != topic.address {
        if let Err(error) = subscriber.connect_also(&found.topic.address) {
            tracing::warn!(topic = topic.name, %error, "not followed");
            return;
        }
        let _ = subscriber.disconnect(&topic.address);
        *topic = found.topic;
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
