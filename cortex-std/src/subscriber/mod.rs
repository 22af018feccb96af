//! Subscribing: the forms in which messages are delivered.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::ReceiveError;
use crate::queue::Queued;
use crate::receiver::{Common, Received, Receiver, Rejections};
use crate::sample::Sample;
use crate::stats::{SubscriberCounters, SubscriberStats};
use crate::wire::{Header, Message};
use crate::worker::Worker;

mod builder;

pub use builder::SubscriberBuilder;

/// What a callback may return: nothing, or a result whose error is reported.
pub trait Outcome {
    /// The error, for people.
    fn error(self) -> Option<String>;
}

impl Outcome for () {
    fn error(self) -> Option<String> {
        None
    }
}

impl<E: fmt::Display> Outcome for Result<(), E> {
    fn error(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// The counters of a subscriber, from any thread.
#[derive(Debug, Clone)]
pub struct SubscriberHandle {
    counters: Arc<SubscriberCounters>,
}

impl SubscriberHandle {
    /// What was seen so far.
    #[must_use]
    pub fn stats(&self) -> SubscriberStats {
        self.counters.snapshot()
    }
}

/// A subscriber whose callback runs on a thread of its own.
///
/// The thread ends when this is dropped, or with its node. Dropping waits for a callback that is at
/// work, but not longer than a second; one that blocks longer is reported by name in the log and
/// left. Within the callback dropping does not wait.
#[derive(Debug)]
#[must_use = "its thread ends when it is dropped"]
pub struct ThreadSubscriber {
    worker: Worker,
    handle: SubscriberHandle,
}

impl ThreadSubscriber {
    /// What was seen so far.
    #[must_use]
    pub fn stats(&self) -> SubscriberStats {
        self.handle.stats()
    }

    /// The counters, to be read elsewhere.
    #[must_use]
    pub fn handle(&self) -> SubscriberHandle {
        self.handle.clone()
    }

    /// Whether the thread has ended: the node was shut down, or libzmq refused.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.worker.is_finished()
    }
}

/// Receives the messages of one topic.
///
/// Every message is checked: the topic exactly, the header's fingerprint, every array against its
/// buffer. What does not pass is counted by reason, logged at a bounded rate, and not delivered.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use cortex_std::{Node, wire::StringMessage};
///
/// # let folder = tempfile::tempdir()?;
/// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
/// let node = Node::builder("listener").discovery(&address).build()?;
/// let mut notes = node.subscriber::<StringMessage>("/notes").create()?;
/// if let Some(sample) = notes.recv_timeout(Duration::from_millis(10))? {
///     println!("[{}] {}", sample.header().sequence, sample.message()?.data);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subscriber<M> {
    source: Source,
    common: Arc<Common>,
    rejections: Rejections,
    message: PhantomData<fn() -> M>,
}

/// Where messages come from.
enum Source {
    /// The socket.
    Direct(Box<Receiver>),
    /// A thread that empties the socket.
    Queued(Queued),
}

impl<M: Message + 'static> Subscriber<M> {
    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// `Closed` once the node is shut down; `Socket` when libzmq refuses.
    ///
    /// # Cancel safety
    ///
    /// No message is lost.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O enabled.
    #[cfg(feature = "tokio")]
    pub async fn recv(&mut self) -> Result<Sample<M>, ReceiveError> {
        // Who does nothing but receive must not starve the others under a flood.
        tokio::task::coop::consume_budget().await;
        loop {
            let received = self.receive().await?;
            if let Some(sample) = self.check(received) {
                return Ok(sample);
            }
        }
    }

    /// The messages as a stream, which ends with the node; an error of libzmq is its last item.
    ///
    /// # Panics
    ///
    /// The stream, outside of a tokio runtime with I/O enabled.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use cortex_std::{Node, wire::StringMessage};
    /// use futures_util::StreamExt;
    ///
    /// # async fn example(node: &Node) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut notes = node.subscriber::<StringMessage>("/notes").create()?.into_stream();
    /// while let Some(sample) = notes.next().await {
    ///     println!("{}", sample?.message()?.data);
    /// }
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tokio")]
    pub fn into_stream(
        self,
    ) -> impl futures_util::Stream<Item = Result<Sample<M>, ReceiveError>> + Send + Unpin {
        let next = async |subscriber: Option<Self>| {
            let mut subscriber = subscriber?;
            match subscriber.recv().await {
                Ok(sample) => Some((Ok(sample), Some(subscriber))),
                Err(ReceiveError::Closed) => None,
                Err(error) => Some((Err(error), None)),
            }
        };
        Box::pin(futures_util::stream::unfold(Some(self), next))
    }

    /// Calls back for every message until the node is shut down. May run in a task of its own.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    #[cfg(feature = "tokio")]
    pub async fn for_each<F, R>(mut self, mut callback: F) -> Result<(), ReceiveError>
    where
        F: AsyncFnMut(M::View<'_>, Header) -> R,
        R: Outcome,
    {
        let mut turn = Turn::begin();
        loop {
            let sample = Sample::<M>::new(self.receive().await?);
            let counters = &self.common.counters;
            let begun = counters.begin();
            match sample.message() {
                Ok(message) => {
                    counters.decoded(begun);
                    self.note_received(&sample);
                    let header = sample.header();
                    let begun = counters.begin();
                    let failure = crate::callback::guarded(callback(message, header)).await;
                    counters.called(begun);
                    self.common.note_failure(failure);
                }
                Err(error) => self.rejections.reject(error),
            }
            turn.pass().await;
        }
    }

    /// Calls back with every sample until the node is shut down. May run in a task of its own.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    #[cfg(feature = "tokio")]
    pub async fn for_each_sample<F, R>(mut self, mut callback: F) -> Result<(), ReceiveError>
    where
        F: AsyncFnMut(Sample<M>) -> R,
        R: Outcome,
    {
        let mut turn = Turn::begin();
        loop {
            let received = self.receive().await?;
            if let Some(sample) = self.check(received) {
                let begun = self.common.counters.begin();
                let failure = crate::callback::guarded(callback(sample)).await;
                self.common.counters.called(begun);
                self.common.note_failure(failure);
            }
            turn.pass().await;
        }
    }

    /// Waits for the next message on this thread; `None`: none came in time.
    ///
    /// # Errors
    ///
    /// `Closed` once the node is shut down; `Socket` when libzmq refuses.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Sample<M>>, ReceiveError> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let Some(received) = self.receive_until(deadline)? else { return Ok(None) };
            if let Some(sample) = self.check(received) {
                return Ok(Some(sample));
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Ok(None);
            }
        }
    }

    /// Waits for the next message on this thread, however long it takes.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_blocking(&mut self) -> Result<Sample<M>, ReceiveError> {
        loop {
            if let Some(received) = self.receive_until(None)?
                && let Some(sample) = self.check(received)
            {
                return Ok(sample);
            }
        }
    }

    #[cfg(feature = "tokio")]
    async fn receive(&mut self) -> Result<Received, ReceiveError> {
        match &mut self.source {
            Source::Direct(receiver) => receiver.recv().await,
            Source::Queued(queued) => queued.recv().await,
        }
    }

    fn receive_until(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<Received>, ReceiveError> {
        match &mut self.source {
            Source::Direct(receiver) => receiver.recv_until(deadline),
            Source::Queued(queued) => queued.recv_until(deadline),
        }
    }

    /// The sample, if the message decodes; counts it either way.
    fn check(&mut self, received: Received) -> Option<Sample<M>> {
        let sample = Sample::<M>::new(received);
        let begun = self.common.counters.begin();
        if let Err(error) = sample.message() {
            self.rejections.reject(error);
            return None;
        }
        self.common.counters.decoded(begun);
        self.note_received(&sample);
        Some(sample)
    }

    fn call<R: Outcome>(
        &mut self,
        received: Received,
        callback: &mut impl FnMut(M::View<'_>, Header) -> R,
    ) {
        let sample = Sample::<M>::new(received);
        let counters = &self.common.counters;
        let begun = counters.begin();
        match sample.message() {
            Ok(message) => {
                counters.decoded(begun);
                self.note_received(&sample);
                let begun = counters.begin();
                let failure = crate::callback::guarded_call(|| callback(message, sample.header()));
                counters.called(begun);
                self.common.note_failure(failure);
            }
            Err(error) => self.rejections.reject(error),
        }
    }

    fn note_received(&self, sample: &Sample<M>) {
        self.common.counters.received.add(1);
        self.common.counters.received_bytes.add(sample.len() as u64);
    }
}

/// The time that one subscriber may take before others have theirs.
///
/// One task drives many: without this a flood would starve the timers. Letting the others go first costs
/// a system call, so small messages share one.
#[cfg(feature = "tokio")]
struct Turn {
    since: Instant,
}

#[cfg(feature = "tokio")]
impl Turn {
    const LENGTH: Duration = Duration::from_micros(50);

    fn begin() -> Self {
        Self { since: Instant::now() }
    }

    /// Lets the others go first if the turn is over.
    async fn pass(&mut self) {
        if self.since.elapsed() >= Self::LENGTH {
            tokio::task::yield_now().await;
            self.since = Instant::now();
        }
    }
}

impl<M> Subscriber<M> {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.common.topic
    }

    /// Where the publisher was found; `None` until then. Of several, the first.
    #[must_use]
    pub fn publisher_address(&self) -> Option<String> {
        self.publisher_addresses().into_iter().next()
    }

    /// Where all publishers were found that share the topic; see
    /// [`PublisherBuilder::shared`](crate::PublisherBuilder::shared).
    #[must_use]
    pub fn publisher_addresses(&self) -> Vec<String> {
        self.common.publishers()
    }

    /// What was seen so far.
    #[must_use]
    pub fn stats(&self) -> SubscriberStats {
        self.common.counters.snapshot()
    }

    /// The counters, to be read while somebody else receives.
    #[must_use]
    pub fn handle(&self) -> SubscriberHandle {
        SubscriberHandle { counters: Arc::clone(&self.common.counters) }
    }
}

impl<M> fmt::Debug for Subscriber<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("topic", &self.topic())
            .field("publisher", &self.publisher_address())
            .finish_non_exhaustive()
    }
}
