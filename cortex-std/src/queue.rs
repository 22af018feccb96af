//! What waits between a publisher and a slow reader, and what gives way when it is too much.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::error::{CreateError, ReceiveError};
use crate::node::Shared;
use crate::receiver::{Received, Receiver};
use crate::socket::error::SocketError;
use crate::thread::ThreadOptions;
use crate::worker::Worker;

/// Messages that may wait unless said otherwise, as in Python.
const DEFAULT: u32 = 10;
/// Messages that libzmq may hold for a queue thread, ZeroMQ's own default: it takes them at once,
/// but a thread does not always run at once.
const BEHIND: u32 = 1000;

/// Which messages a subscriber keeps for a reader that is slower than the publisher.
///
/// Whatever is not kept is counted: see [`SubscriberStats`](crate::SubscriberStats).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Queue {
    /// So many wait, and what comes then is lost: ZeroMQ's own policy. 0 is no limit.
    ///
    /// The reader sees every message in order until it falls behind; then it sees old ones, with
    /// gaps, which count as `lost`. The queue of the publisher and what the kernel holds of a stream
    /// come on top of the number.
    KeepOldest(u32),
    /// The newest ones wait, so many; what is older is dropped. 0 is no limit.
    ///
    /// A thread of the subscriber's own takes every message as soon as it comes. The dropped ones
    /// count as `overwritten`.
    KeepNewest(u32),
    /// Only the last one waits: `KeepNewest(1)`.
    Latest,
}

impl Queue {
    /// How many messages wait in a ring of our own, 0 being no limit; `None`: libzmq keeps them.
    pub(crate) fn ring(self) -> Option<u32> {
        match self {
            Self::KeepOldest(_) => None,
            Self::KeepNewest(count) => Some(count),
            Self::Latest => Some(1),
        }
    }

    /// How many messages wait in libzmq, 0 being no limit.
    pub(crate) fn high_water_mark(self) -> u32 {
        match self {
            Self::KeepOldest(count) => count,
            Self::KeepNewest(0) => 0,
            Self::KeepNewest(count) => count.max(BEHIND),
            Self::Latest => BEHIND,
        }
    }
}

impl Default for Queue {
    /// `KeepOldest(10)`.
    fn default() -> Self {
        Self::KeepOldest(DEFAULT)
    }
}

impl From<u32> for Queue {
    /// `KeepOldest`.
    fn from(count: u32) -> Self {
        Self::KeepOldest(count)
    }
}

/// A ring that a thread of its own fills.
#[derive(Debug)]
pub(crate) struct Queued {
    ring: Arc<Ring>,
    #[expect(dead_code, reason = "held for its drop")]
    worker: Worker,
}

impl Queued {
    /// Starts the thread; `limit` messages wait, 0 is no limit.
    pub(crate) fn start(
        shared: &Shared,
        receiver: Receiver,
        limit: u32,
    ) -> Result<Self, CreateError> {
        let ring = Arc::new(Ring::new(limit));
        let common = Arc::clone(receiver.common());
        let filled = Arc::clone(&ring);
        let options = ThreadOptions::named("cortex-queue");
        let worker = Worker::start(shared, &common, options, move || fill(receiver, &filled))?;
        Ok(Self { ring, worker })
    }

    /// Waits on this thread for what is next; `None`: nothing came before `deadline`.
    pub(crate) fn recv_until(
        &self,
        deadline: Option<Instant>,
    ) -> Result<Option<Received>, ReceiveError> {
        let mut state = self.ring.lock();
        loop {
            if let Some(received) = state.take()? {
                return Ok(Some(received));
            }
            state = match deadline {
                None => self.ring.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let left = at.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(None);
                    }
                    let woken = self.ring.filled.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Waits for what is next.
    ///
    /// # Cancel safety
    ///
    /// No message is lost.
    #[cfg(feature = "tokio")]
    pub(crate) async fn recv(&self) -> Result<Received, ReceiveError> {
        loop {
            if let Some(received) = self.ring.lock().take()? {
                return Ok(received);
            }
            self.ring.notify.notified().await;
        }
    }
}

/// What the thread does.
fn fill(mut receiver: Receiver, ring: &Ring) {
    let common = Arc::clone(receiver.common());
    let filling = AssertUnwindSafe(|| {
        loop {
            match receiver.recv_until(None) {
                Ok(Some(received)) => {
                    // The old one is released out of the reader's way.
                    if ring.push(received).is_some() {
                        common.counters.overwritten.add(1);
                    }
                }
                Ok(None) => {}
                Err(ReceiveError::Socket(error)) => return Some(error),
                Err(_) => return None,
            }
        }
    });
    // Whatever happens, the reader must not wait for ever.
    let error = catch_unwind(filling).unwrap_or_else(|_| {
        tracing::error!(topic = %common.topic, "the queue thread panicked");
        None
    });
    ring.end(error);
}

struct Ring {
    limit: usize,
    state: Mutex<State>,
    filled: Condvar,
    #[cfg(feature = "tokio")]
    notify: tokio::sync::Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Received>,
    /// Set once nothing more will come: the reason, if it is not the end of the node.
    end: Option<Option<SocketError>>,
}

impl State {
    fn take(&mut self) -> Result<Option<Received>, ReceiveError> {
        match &self.end {
            None => Ok(self.waiting.pop_front()),
            Some(None) => Err(ReceiveError::Closed),
            Some(Some(error)) => Err(ReceiveError::Socket(error.clone())),
        }
    }
}

impl Ring {
    fn new(limit: u32) -> Self {
        Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            state: Mutex::default(),
            filled: Condvar::new(),
            #[cfg(feature = "tokio")]
            notify: tokio::sync::Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends; returns what had to give way.
    fn push(&self, received: Received) -> Option<Received> {
        let mut state = self.lock();
        let is_full = self.limit != 0 && state.waiting.len() >= self.limit;
        let old = if is_full { state.waiting.pop_front() } else { None };
        state.waiting.push_back(received);
        drop(state);
        self.wake();
        old
    }

    fn end(&self, error: Option<SocketError>) {
        let waiting = {
            let mut state = self.lock();
            state.end = Some(error);
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
        self.wake();
    }

    fn wake(&self) {
        self.filled.notify_one();
        #[cfg(feature = "tokio")]
        self.notify.notify_one();
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::multipart::Multipart;
    use crate::wire::Header;

    fn received(sequence: u64) -> Received {
        let header = Header { fingerprint: 0, timestamp_ns: 0, sequence };
        Received { multipart: Multipart::default(), header }
    }

    fn left_of(limit: u32, pushed: u64) -> (Vec<u64>, u64) {
        let ring = Ring::new(limit);
        let gone = (0..pushed).filter(|&number| ring.push(received(number)).is_some()).count();
        let mut left = Vec::new();
        while let Some(received) = ring.lock().take().unwrap() {
            left.push(received.header.sequence);
        }
        (left, gone as u64)
    }

    #[test]
    fn a_ring_keeps_the_newest() {
        assert_eq!(left_of(3, 2), (vec![0, 1], 0));
        assert_eq!(left_of(3, 100), (vec![97, 98, 99], 97));
        assert_eq!(left_of(1, 100), (vec![99], 99));
        assert_eq!(left_of(0, 100), ((0..100).collect(), 0));
    }

    #[test]
    fn a_ring_that_ended_says_so_ever_after() {
        let ring = Ring::new(0);
        assert!(ring.push(received(0)).is_none());
        ring.end(None);
        for _ in 0..2 {
            assert!(matches!(ring.lock().take(), Err(ReceiveError::Closed)));
        }
    }

    #[test]
    fn a_number_alone_keeps_the_oldest() {
        assert_eq!(Queue::from(10), Queue::default());
        assert_eq!(Queue::from(0).high_water_mark(), 0);
        assert_eq!(Queue::KeepNewest(0).high_water_mark(), 0);
        assert_eq!(Queue::Latest.ring(), Some(1));
    }
}
