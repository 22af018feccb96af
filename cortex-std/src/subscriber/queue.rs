//! Queue policies, and the queue thread of those that keep the newest messages.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard};
#[cfg(feature = "tokio")]
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use super::receiver::Receiver;
use super::sample::Received;
use super::thread::SubscriberThread;
use crate::error::{CreateError, ReceiveError};
use crate::mutex::{Condvar, Mutex};
use crate::runtime::thread_options::ThreadOptions;
use crate::runtime::threads::Threads;
use crate::transport::SocketError;

/// Messages that wait by default, as in Python.
const DEFAULT: u32 = 10;
/// Messages that the transport may hold for a queue thread, ZeroMQ's default: the thread reads them at
/// once, but it is not always scheduled at once.
const TRANSPORT_QUEUE: u32 = 1000;

/// Which messages a subscriber keeps for a reader that is slower than the publisher.
///
/// Messages that are not kept are counted: see [`SubscriberStats`](crate::SubscriberStats).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Queue {
    /// This many messages wait, and later ones are lost: ZeroMQ's policy. 0 is no limit.
    ///
    /// The reader receives every message in order until it falls behind; then it receives old ones, with
    /// gaps, which count as `lost`. The publisher's queue and the kernel's buffers hold messages in
    /// addition to this number, so with small messages seconds may pass before the first gap:
    /// [`SubscriberStats::age`](crate::SubscriberStats::age) and `behind` show it at once.
    KeepOldest(u32),
    /// This many of the newest messages wait (ROS 2: keep last); older ones are dropped. 0 is no limit.
    ///
    /// A dedicated thread reads every message as soon as it arrives. Dropped messages count as
    /// `overwritten`.
    KeepNewest(u32),
    /// Only the last message waits: `KeepNewest(1)`.
    Latest,
}

impl Queue {
    /// Messages that wait in a ring, 0 for no limit; `None` where the transport keeps them.
    pub(super) fn ring(self) -> Option<u32> {
        match self {
            Self::KeepOldest(_) => None,
            Self::KeepNewest(count) => Some(count),
            Self::Latest => Some(1),
        }
    }

    /// Messages that wait in the transport, 0 for no limit.
    pub(super) fn high_water_mark(self) -> u32 {
        match self {
            Self::KeepOldest(count) => count,
            Self::KeepNewest(0) => 0,
            Self::KeepNewest(count) => count.max(TRANSPORT_QUEUE),
            Self::Latest => TRANSPORT_QUEUE,
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

/// A ring of messages that a dedicated thread fills.
#[derive(Debug)]
pub(super) struct QueuedReceiver {
    ring: Arc<Ring>,
    #[expect(dead_code, reason = "held for its drop")]
    thread: SubscriberThread,
}

impl QueuedReceiver {
    /// Starts the thread; up to `limit` messages wait, 0 is no limit.
    ///
    /// # Errors
    ///
    /// When no thread is left; `ShutDown`.
    pub(super) fn start(
        threads: &Arc<Threads>,
        receiver: Receiver,
        limit: u32,
    ) -> Result<Self, CreateError> {
        let ring = Arc::new(Ring::new(limit));
        let subscription = Arc::clone(receiver.subscription());
        let filled = Arc::clone(&ring);
        let options = ThreadOptions::named("cortex-queue");
        let fill = move || fill(receiver, &filled);
        let thread = SubscriberThread::start(threads, &subscription, options, fill)?;
        Ok(Self { ring, thread })
    }

    /// Blocks until the next message; `None` at the deadline.
    pub(super) fn recv_until(
        &self,
        deadline: Option<Instant>,
    ) -> Result<Option<Received>, ReceiveError> {
        let mut state = self.ring.state.lock();
        loop {
            if let Some(received) = state.take()? {
                return Ok(Some(received));
            }
            match self.ring.filled.wait_until(state, deadline) {
                Ok(woken) => state = woken,
                Err(_) => return Ok(None),
            }
        }
    }

    /// Receives a message without waiting.
    pub(super) fn try_recv(&self) -> Result<Option<Received>, ReceiveError> {
        self.ring.state.lock().take()
    }

    /// The next message; otherwise the task is woken when there is one.
    #[cfg(feature = "tokio")]
    pub(super) fn poll_recv(
        &self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Received, ReceiveError>> {
        let mut state = self.ring.state.lock();
        match state.take()? {
            Some(received) => Poll::Ready(Ok(received)),
            None => {
                // Under the lock: the next message finds the waker.
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Receives into the ring until the subscriber ends.
fn fill(mut receiver: Receiver, ring: &Ring) {
    let subscription = Arc::clone(receiver.subscription());
    let filling = AssertUnwindSafe(|| {
        loop {
            match receiver.recv_until(None) {
                Ok(Some(received)) => {
                    // The dropped message is released on this thread.
                    if ring.push(received).is_some() {
                        subscription.counters.overwritten.add(1);
                    }
                }
                Ok(None) => {}
                Err(ReceiveError::Socket(error)) => return Some(error),
                Err(_) => return None,
            }
        }
    });
    // The reader must be woken however this ends.
    let error = catch_unwind(filling).unwrap_or_else(|_| {
        tracing::error!(topic = %subscription.topic, "the queue thread panicked");
        None
    });
    ring.end(error);
}

struct Ring {
    limit: usize,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Received>,
    /// Set once no message will follow, with the error where there is one.
    end: Option<Option<SocketError>>,
    /// Wakes the task that waits for a message.
    #[cfg(feature = "tokio")]
    waker: Option<Waker>,
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
        }
    }

    /// Appends a message; returns the one that was dropped for it.
    fn push(&self, received: Received) -> Option<Received> {
        let mut state = self.state.lock();
        let is_full = self.limit != 0 && state.waiting.len() >= self.limit;
        let old = if is_full { state.waiting.pop_front() } else { None };
        state.waiting.push_back(received);
        self.wake(state);
        old
    }

    fn end(&self, error: Option<SocketError>) {
        let mut state = self.state.lock();
        state.end = Some(error);
        let waiting = std::mem::take(&mut state.waiting);
        self.wake(state);
        drop(waiting);
    }

    /// Wakes the reader, after the lock is released.
    fn wake(
        &self,
        #[cfg_attr(not(feature = "tokio"), expect(unused_mut, reason = "only a task has a waker"))]
        mut state: MutexGuard<'_, State>,
    ) {
        #[cfg(feature = "tokio")]
        let waker = state.waker.take();
        drop(state);
        self.filled.notify_one();
        #[cfg(feature = "tokio")]
        if let Some(waker) = waker {
            waker.wake();
        }
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
    use crate::transport::Multipart;
    use crate::wire::Header;

    fn received(sequence: u64) -> Received {
        let header = Header { fingerprint: 0, timestamp_ns: 0, sequence };
        Received { multipart: Multipart::default(), header }
    }

    fn left_of(limit: u32, pushed: u64) -> (Vec<u64>, u64) {
        let ring = Ring::new(limit);
        let gone = (0..pushed).filter(|&number| ring.push(received(number)).is_some()).count();
        let mut left = Vec::new();
        while let Some(received) = ring.state.lock().take().unwrap() {
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
    fn a_closed_ring_stays_closed() {
        let ring = Ring::new(0);
        assert!(ring.push(received(0)).is_none());
        ring.end(None);
        for _ in 0..2 {
            assert!(matches!(ring.state.lock().take(), Err(ReceiveError::Closed)));
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
