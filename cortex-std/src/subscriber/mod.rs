//! Subscribing: the forms in which messages are delivered.

mod builder;
mod comparison;
mod connections;
mod deadline;
mod delivery;
mod handle;
mod lag;
mod loss;
mod queue;
mod receiver;
mod sample;
#[cfg(feature = "tokio")]
mod stream;
mod subscription;
mod thread;
#[cfg(feature = "tokio")]
mod wakeups;

use std::fmt;
#[cfg(feature = "tokio")]
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;
#[cfg(feature = "tokio")]
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::error::ReceiveError;
#[cfg(feature = "tokio")]
use crate::runtime::callback::run_guarded;
use crate::runtime::callback::{CallbackResult, call_guarded};
use crate::stats::SubscriberStats;
use crate::wire::{Header, Message};

pub use crate::wire::{SequenceTracker, Step};
pub use builder::SubscriberBuilder;
pub use handle::{SubscriberHandle, ThreadSubscriber};
pub use loss::{Loss, LossKind};
pub use queue::Queue;
pub use sample::Sample;

use delivery::Delivery;
use queue::QueuedReceiver;
use receiver::Receiver;
use sample::Received;

/// Receives the messages of one topic.
///
/// Every message is checked: the exact topic, the header's fingerprint, every array against its buffer. A
/// message that fails is counted by reason, logged at a bounded rate, and not delivered.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use cortex_std::{Node, wire::StringMessage};
///
/// # let folder = tempfile::tempdir()?;
/// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
/// let node = Node::builder("listener").discovery(&address).create()?;
/// let mut notes = node.subscriber::<StringMessage>("/notes").create()?;
/// if let Some(sample) = notes.recv_timeout(Duration::from_millis(10))? {
///     println!("[{}] {}", sample.header().sequence, sample.message()?.data);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subscriber<M> {
    source: Source,
    delivery: Delivery,
    /// Whether the stream has returned its last item.
    #[cfg(feature = "tokio")]
    has_ended: bool,
    message: PhantomData<fn() -> M>,
}

/// Where messages come from.
enum Source {
    /// The socket.
    Direct(Box<Receiver>),
    /// A thread that reads the socket.
    Queued(QueuedReceiver),
}

impl<M: Message + 'static> Subscriber<M> {
    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// `Closed` once the node is shut down; `Socket` when the socket fails.
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
        poll_fn(|context| self.poll_sample(context)).await
    }

    /// Calls the callback for every message until the node is shut down. May run in a separate task.
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
        R: CallbackResult,
    {
        let mut slice = TimeSlice::begin();
        loop {
            let sample = Sample::<M>::new(self.receive().await?);
            if let Some(message) = self.delivery.decode(&sample) {
                let call = self.delivery.begin_call();
                let failure = run_guarded(callback(message, sample.header())).await;
                self.delivery.end_call(call, failure);
            }
            slice.yield_if_over().await;
        }
    }

    /// Calls the callback with every sample until the node is shut down. May run in a separate task.
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
        R: CallbackResult,
    {
        let mut slice = TimeSlice::begin();
        loop {
            let received = self.receive().await?;
            if let Some(sample) = self.check(received) {
                let call = self.delivery.begin_call();
                let failure = run_guarded(callback(sample)).await;
                self.delivery.end_call(call, failure);
            }
            slice.yield_if_over().await;
        }
    }

    /// The next message if one is there, without waiting.
    ///
    /// # Errors
    ///
    /// `Closed` once the node is shut down; `Socket` when the socket fails.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use cortex_std::{Node, Queue, Subscriber, wire::FloatMessage};
    /// /// The newest command, for a loop that keeps the previous one otherwise.
    /// fn newest(commands: &mut Subscriber<FloatMessage>) -> cortex_std::Result<Option<f64>> {
    ///     let mut newest = None;
    ///     while let Some(sample) = commands.try_recv()? {
    ///         newest = Some(sample.message()?.data);
    ///     }
    ///     Ok(newest)
    /// }
    /// ```
    pub fn try_recv(&mut self) -> Result<Option<Sample<M>>, ReceiveError> {
        loop {
            let received = match &mut self.source {
                Source::Direct(receiver) => receiver.try_recv()?,
                Source::Queued(queued) => queued.try_recv()?,
            };
            let Some(received) = received else { return Ok(None) };
            if let Some(sample) = self.check(received) {
                return Ok(Some(sample));
            }
        }
    }

    /// Blocks until the next message; `None` after `timeout`.
    ///
    /// # Errors
    ///
    /// `Closed` once the node is shut down; `Socket` when the socket fails.
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

    /// Blocks until the next message, without limit.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn blocking_recv(&mut self) -> Result<Sample<M>, ReceiveError> {
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
        poll_fn(|context| self.poll_receive(context)).await
    }

    #[cfg(feature = "tokio")]
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Received, ReceiveError>> {
        match &mut self.source {
            Source::Direct(receiver) => receiver.poll_recv(context),
            Source::Queued(queued) => queued.poll_recv(context),
        }
    }

    #[cfg(feature = "tokio")]
    fn poll_sample(&mut self, context: &mut Context<'_>) -> Poll<Result<Sample<M>, ReceiveError>> {
        loop {
            // A task that only receives must not starve the others under a flood.
            ready!(wakeups::poll_budget(context));
            let received = ready!(self.poll_receive(context))?;
            if let Some(sample) = self.check(received) {
                return Poll::Ready(Ok(sample));
            }
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
        self.delivery.decode(&sample)?;
        Some(sample)
    }

    /// Decodes a message and calls the callback with it.
    fn call<R: CallbackResult>(
        &mut self,
        received: Received,
        callback: &mut impl FnMut(M::View<'_>, Header) -> R,
    ) {
        let sample = Sample::<M>::new(received);
        if let Some(message) = self.delivery.decode(&sample) {
            let call = self.delivery.begin_call();
            let failure = call_guarded(|| callback(message, sample.header()));
            self.delivery.end_call(call, failure);
        }
    }
}

/// The time that one subscriber may take before the other tasks of its thread run.
///
/// One task drives many subscribers and timers: without yielding a flood would starve the timers. A yield
/// costs a system call, so small messages share one.
#[cfg(feature = "tokio")]
struct TimeSlice {
    since: Instant,
}

#[cfg(feature = "tokio")]
impl TimeSlice {
    const LENGTH: Duration = Duration::from_micros(50);

    fn begin() -> Self {
        Self { since: Instant::now() }
    }

    /// Yields to the other tasks once the slice is over.
    async fn yield_if_over(&mut self) {
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
        &self.delivery.subscription.topic
    }

    /// The address of the publisher, of several the first; `None` before it is found.
    #[must_use]
    pub fn publisher_address(&self) -> Option<String> {
        self.publisher_addresses().into_iter().next()
    }

    /// The addresses of all publishers of a shared topic; see
    /// [`PublisherBuilder::shared`](crate::PublisherBuilder::shared).
    #[must_use]
    pub fn publisher_addresses(&self) -> Vec<String> {
        self.delivery.subscription.publishers()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> SubscriberStats {
        self.delivery.subscription.counters.snapshot()
    }

    /// A handle, usable while another thread receives.
    #[must_use]
    pub fn handle(&self) -> SubscriberHandle {
        SubscriberHandle { subscription: Arc::clone(&self.delivery.subscription) }
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
