//! Sending frames.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::bound_socket::BoundSocket;
use super::outlet::{Outlet, OutletOptions, Parts, Published};
use crate::discovery::Topic;
use crate::discovery::agent::Registration;
use crate::error::{CreateError, PublishError, WaitError};
use crate::name::check_name;
use crate::runtime::Runtime;
use crate::stats::PublisherStats;
use crate::transport::{
    Context, DEFAULT_QUEUE, DEFAULT_QUEUE_BYTES, OwnedView, Part, PublisherOptions, Transport,
    ViewFamily,
};
use crate::wire::discovery::RequestExt;

/// How long queued messages may still be sent after a publisher is closed.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// Settings of a [`RawPublisher`]; the defaults are those of every publisher.
#[derive(Debug, Clone)]
#[must_use]
pub struct RawOptions {
    queue: u32,
    queue_bytes: usize,
    block: Duration,
    linger: Duration,
    transport: Option<Transport>,
}

impl Default for RawOptions {
    fn default() -> Self {
        Self {
            queue: u32::try_from(DEFAULT_QUEUE).unwrap_or(0),
            queue_bytes: DEFAULT_QUEUE_BYTES,
            block: Duration::ZERO,
            linger: LINGER,
            transport: None,
        }
    }
}

impl RawOptions {
    /// As [`PublisherBuilder::queue`](crate::PublisherBuilder::queue).
    pub fn queue(mut self, messages: u32) -> Self {
        self.queue = messages;
        self
    }

    /// As [`PublisherBuilder::queue_bytes`](crate::PublisherBuilder::queue_bytes).
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// As [`PublisherBuilder::block_for`](crate::PublisherBuilder::block_for).
    pub fn block_for(mut self, timeout: Duration) -> Self {
        self.block = timeout;
        self
    }

    /// As [`PublisherBuilder::linger`](crate::PublisherBuilder::linger).
    pub fn linger(mut self, timeout: Duration) -> Self {
        self.linger = timeout;
        self
    }

    /// As [`NodeBuilder::transport`](crate::NodeBuilder::transport), for a publisher that is bound by
    /// [`RawPublisher::bind_with`].
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = Some(transport);
        self
    }

    fn socket(&self) -> PublisherOptions {
        PublisherOptions {
            high_water_mark: i32::try_from(self.queue).unwrap_or(i32::MAX),
            max_queue_bytes: self.queue_bytes,
            linger: self.linger,
            ..PublisherOptions::default()
        }
    }

    fn outlet(&self) -> OutletOptions {
        OutletOptions { topic: None, block: self.block, is_latched: false, linger: self.linger }
    }
}

/// Sends frames to every peer that subscribed to a prefix of the first.
///
/// Clones share the socket and may be used from any thread. Up to 10 messages and 256 MiB wait for each
/// subscriber, unless [`RawOptions`] say otherwise. A subscriber whose queue is full loses messages; the
/// others do not.
#[derive(Clone)]
pub struct RawPublisher {
    outlet: Arc<Outlet>,
}

struct Slice;

impl ViewFamily for Slice {
    type View<'a> = &'a [u8];
}

impl RawPublisher {
    /// Binds to `address`: `ipc://PATH` or `tcp://HOST:PORT`, where `*` lets the system choose a port.
    /// It is not registered at a daemon.
    ///
    /// # Errors
    ///
    /// When the address is invalid or in use, or the socket fails.
    pub fn bind(address: &str) -> Result<Self, CreateError> {
        Self::bind_with(address, &RawOptions::default())
    }

    /// As [`bind`](Self::bind), with other settings than the defaults.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_with(address: &str, options: &RawOptions) -> Result<Self, CreateError> {
        let context = Context::shared()?.with_transport(options.transport);
        let bound = BoundSocket::bind_address(&context, address, &options.socket())?;
        let (outlet, _) = Outlet::open(bound, options.outlet())?;
        Ok(Self { outlet })
    }

    /// A publisher of `topic` that the node registers and closes.
    ///
    /// # Errors
    ///
    /// When the topic's name is invalid, the node publishes it already, or the socket fails.
    pub(crate) fn bind_in_node(
        runtime: &Runtime,
        topic: &str,
        message_type: &str,
        fingerprint: u64,
        options: &RawOptions,
    ) -> Result<Self, CreateError> {
        check_name("topic", topic)?;
        let bound = BoundSocket::bind(runtime, topic, None, None, &options.socket())?;
        let (outlet, advertised) = Outlet::open(bound, options.outlet())?;
        let topic = Topic {
            name: topic.to_owned(),
            address: outlet.address().to_owned(),
            message_type: message_type.to_owned(),
            fingerprint,
            publisher_node: runtime.name.clone(),
        };
        outlet.register(&runtime.agent, topic, RequestExt::default(), advertised);
        runtime.parts.add(&outlet)?;
        Ok(Self { outlet })
    }

    /// The address to connect to, with the port that the system chose.
    #[must_use]
    pub fn address(&self) -> &str {
        self.outlet.address()
    }

    /// Sends a message, without blocking unless [`RawOptions::block_for`] says so; its frames are copied. Without frames nothing happens.
    ///
    /// # Errors
    ///
    /// When the socket fails, or the node was shut down.
    pub fn send(&self, frames: &[&[u8]]) -> Result<Published, PublishError> {
        self.transmit(&mut frames.iter().map(|frame| Part::Copy(frame)).collect::<Parts<'_>>())
    }

    /// Sends a message without blocking, whatever [`RawOptions::block_for`] says: a subscriber whose queue is
    /// full loses it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_at_once(&self, frames: &[&[u8]]) -> Result<Published, PublishError> {
        let mut parts: Parts<'_> = frames.iter().map(|frame| Part::Copy(frame)).collect();
        self.outlet.publish(|_, _, sender| sender.send_within(&mut parts, Duration::ZERO))
    }

    /// Sends a message whose last frame is not copied: it keeps its owner until the message is sent.
    ///
    /// What [`Publisher::publish_from`](crate::Publisher::publish_from) says of owners holds here.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use cortex_std::raw::RawPublisher;
    /// # fn example(publisher: &RawPublisher) -> Result<(), Box<dyn std::error::Error>> {
    /// let pixels = Arc::new(vec![0_u8; 240 * 320]);
    /// let number = 7_u32.to_le_bytes();
    /// publisher.send_from(&[b"cam/raw", &number], pixels, |pixels| pixels)?;
    /// # Ok(()) }
    /// ```
    pub fn send_from<O: Send + Sync + 'static>(
        &self,
        first: &[&[u8]],
        owner: Arc<O>,
        last: impl for<'a> FnOnce(&'a O) -> &'a [u8],
    ) -> Result<Published, PublishError> {
        let owned = OwnedView::<Slice, O>::new(owner, last);
        let last = owned.with(|view, maker| maker.frame(view))?;
        let mut parts: Parts<'_> = first.iter().map(|frame| Part::Copy(frame)).collect();
        parts.push(Part::Frame(last));
        self.transmit(&mut parts)
    }

    /// The number of current subscriptions, to any prefix.
    #[must_use]
    pub fn subscriber_count(&self) -> usize {
        self.outlet.subscriber_count()
    }

    /// Blocks until there are at least `count` subscriptions.
    ///
    /// # Errors
    ///
    /// `TimedOut`; `Closed` once the node is shut down.
    pub fn blocking_wait_for_subscribers(
        &self,
        count: usize,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        self.outlet.blocking_wait_for_subscribers(count, timeout)
    }

    /// Waits until there are at least `count` subscriptions.
    ///
    /// # Errors
    ///
    /// As [`blocking_wait_for_subscribers`](Self::blocking_wait_for_subscribers).
    ///
    /// # Cancel safety
    ///
    /// It has no effect but the wait.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    #[cfg(feature = "tokio")]
    pub async fn wait_for_subscribers(
        &self,
        count: usize,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        self.outlet.wait_for_subscribers(count, timeout).await
    }

    /// What carries the messages.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.outlet.transport()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> PublisherStats {
        self.outlet.stats()
    }

    /// Blocks until the connection of every subscriber has taken all messages, at most for `timeout`;
    /// returns the number of messages that wait still. What a connection has taken, the kernel sends, also
    /// after the process has ended.
    #[must_use = "messages that wait are lost when the process ends"]
    pub fn flush(&self, timeout: Duration) -> usize {
        self.outlet.flush(timeout)
    }

    /// Whether the daemon knows the publisher; `None` for one that no node registers.
    #[must_use]
    pub fn registration(&self) -> Option<Registration> {
        self.outlet.registration()
    }

    fn transmit(&self, parts: &mut [Part<'_>]) -> Result<Published, PublishError> {
        self.outlet.publish(|_, _, sender| sender.send(parts))
    }
}

impl fmt::Debug for RawPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPublisher").field("address", &self.address()).finish_non_exhaustive()
    }
}
