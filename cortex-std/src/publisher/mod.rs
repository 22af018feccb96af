//! Publishing: encode, number, send.

mod builder;
mod loan;
mod registration;
mod stamped;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::error::{PublishError, WaitError};
use crate::raw::outlet::{Outlet, Parts, Published};
use crate::raw::sender::Sender;
use crate::stats::PublisherStats;
use crate::stats::node::{Counted, NodeStats};
use crate::stats::parts::{NodeParts, PublisherInfo};
use crate::transport::{LoanPool, OwnedView, Part, Sent, Transport, ViewFamily};
use crate::wire::{Buffers, EncodeError, EncodeErrorKind, Header, Message, encode};

pub use builder::PublisherBuilder;
pub use loan::Loan;
pub use stamped::Stamped;

/// Publishes messages of one type on one topic.
///
/// Clones share the socket and the numbering, and may be used from any thread: messages arrive in the
/// order of their numbers. The publisher is closed with its last clone, or with its node.
///
/// # Examples
///
/// ```
/// use cortex_std::{Node, Published};
/// use cortex_std::wire::StringMessage;
///
/// # let folder = tempfile::tempdir()?;
/// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
/// let node = Node::builder("talker").discovery(&address).create()?;
/// let notes = node.publisher::<StringMessage>("/notes").create()?;
/// assert_eq!(notes.publish(&StringMessage { data: "hello" })?, Published::NoSubscribers);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// As a field of a struct, or a parameter of a function, the type of a message that borrows needs the
/// lifetime `'static`, whatever it is sent with. The compiler's advice, a lifetime parameter of the struct,
/// leads nowhere:
///
/// ```compile_fail,E0106
/// # use cortex_std::{Publisher, wire::StringMessage};
/// struct Talker {
///     notes: Publisher<StringMessage>, // error: missing lifetime specifier
/// }
/// ```
///
/// ```
/// # use cortex_std::{Publisher, wire::StringMessage};
/// struct Talker {
///     notes: Publisher<StringMessage<'static>>,
/// }
///
/// impl Talker {
///     fn say(&self, text: &str) -> cortex_std::Result<()> {
///         self.notes.publish(&StringMessage { data: text })?;
///         Ok(())
///     }
/// }
/// ```
///
/// The same holds for [`Subscriber`](crate::Subscriber) and [`Sample`](crate::Sample).
pub struct Publisher<M> {
    inner: Arc<Inner>,
    message: PhantomData<fn() -> M>,
}

struct Inner {
    topic: String,
    message_type: &'static str,
    outlet: Arc<Outlet>,
    loans: LoanPool,
}

/// The views of a message type.
struct Family<M>(PhantomData<fn() -> M>);

impl<M: Message + 'static> ViewFamily for Family<M> {
    type View<'a> = M::View<'a>;
}

impl<M: Message + 'static> Publisher<M> {
    /// Sends a message to every subscriber, without blocking. Arrays are copied once.
    ///
    /// The caller's thread encodes the fields and copies the arrays, about 0.1 ms for each megabyte; without
    /// a subscriber it takes less than a microsecond.
    ///
    /// # Errors
    ///
    /// When the message cannot be encoded, or the node was shut down.
    pub fn publish(&self, message: &M::View<'_>) -> Result<Published, PublishError> {
        self.publish_stamped(None, message)
    }

    /// Sends a message that borrows from `owner`, without a copy of its arrays: the frames keep the owner
    /// until the transport has sent them. An array of a kibibyte or less is copied, which costs less.
    ///
    /// The caller's thread encodes the fields and makes two allocations, which takes tens of microseconds at
    /// most, whatever the size of the arrays.
    ///
    /// The owner may be dropped on a thread of libzmq, or inside a later call to this publisher: its
    /// `Drop` must neither block nor use the publisher or the node. Messages that wait for a subscriber
    /// that disappeared are released within about a second.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use cortex_std::wire::BytesMessage;
    /// # fn example(
    /// #     publisher: &cortex_std::Publisher<BytesMessage<'static>>,
    /// # ) -> cortex_std::Result<()> {
    /// let log = Arc::new(vec![0_u8; 100_000]);
    /// publisher.publish_from(log, |log| BytesMessage { data: log })?;
    /// # Ok(()) }
    /// ```
    pub fn publish_from<O: Send + Sync + 'static>(
        &self,
        owner: Arc<O>,
        borrow: impl for<'a> FnOnce(&'a O) -> M::View<'a>,
    ) -> Result<Published, PublishError> {
        self.try_publish_from(owner, |owner| Ok(borrow(owner)))
    }

    /// As [`publish_from`](Self::publish_from), with a closure that may fail, such as for an array whose
    /// shape does not fit.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish), and those of the closure: then nothing is sent.
    /// [`PublishError::other`] makes one of any error.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use cortex_std::wire::{ArrayMessage, ArrayView};
    /// # fn example(
    /// #     publisher: &cortex_std::Publisher<ArrayMessage<'static>>,
    /// # ) -> cortex_std::Result<()> {
    /// let pixels = Arc::new(vec![0_u8; 640 * 480]);
    /// publisher.try_publish_from(pixels, |pixels| {
    ///     let data = ArrayView::from_slice(pixels, &[480, 640])?;
    ///     Ok(ArrayMessage { data, name: "grey", frame_id: "camera" })
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn try_publish_from<O: Send + Sync + 'static>(
        &self,
        owner: Arc<O>,
        borrow: impl for<'a> FnOnce(&'a O) -> Result<M::View<'a>, PublishError>,
    ) -> Result<Published, PublishError> {
        self.publish_borrowed(None, owner, borrow)
    }

    /// Publishes with this timestamp, or with the time of now.
    fn publish_stamped(
        &self,
        timestamp_ns: Option<u64>,
        message: &M::View<'_>,
    ) -> Result<Published, PublishError> {
        self.send(timestamp_ns, |metadata, outgoing| {
            let (metadata, buffers) = encode_into(message, metadata)?;
            outgoing.send(metadata, buffers.into_iter().map(|buffer| Ok(Part::Copy(buffer))))
        })
    }

    fn publish_borrowed<O: Send + Sync + 'static>(
        &self,
        timestamp_ns: Option<u64>,
        owner: Arc<O>,
        borrow: impl for<'a> FnOnce(&'a O) -> Result<M::View<'a>, PublishError>,
    ) -> Result<Published, PublishError> {
        let owned = OwnedView::<Family<M>, O>::try_new(owner, borrow)?;
        self.publish_owned(timestamp_ns, &owned)
    }

    fn publish_owned<O: ?Sized + Send + Sync + 'static>(
        &self,
        timestamp_ns: Option<u64>,
        owned: &Arc<OwnedView<Family<M>, O>>,
    ) -> Result<Published, PublishError> {
        self.send(timestamp_ns, |metadata, outgoing| {
            owned.with(|view, maker| {
                let (metadata, buffers) = encode_into(view, metadata)?;
                let frames = buffers
                    .into_iter()
                    .map(|buffer| maker.frame(buffer).map(Part::Frame).map_err(Into::into));
                outgoing.send(metadata, frames)
            })
        })
    }

    /// Numbers a message and lets `encode` send it. The timestamp is that of now unless one is given.
    fn send(
        &self,
        timestamp_ns: Option<u64>,
        encode: impl FnOnce(&mut Vec<u8>, Outgoing<'_>) -> Result<Sent, PublishError>,
    ) -> Result<Published, PublishError> {
        let topic = self.inner.topic.as_bytes();
        self.inner.outlet.publish(|slot, scratch, sender| {
            let timestamp_ns = timestamp_ns.unwrap_or(slot.timestamp_ns);
            let header = Header::of::<M>(timestamp_ns, slot.sequence).encode();
            encode(scratch, Outgoing { topic, header: &header, sender })
        })
    }
}

impl<M> Publisher<M> {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.inner.topic
    }

    /// The ZeroMQ endpoint that subscribers connect to.
    ///
    /// With a daemon behind tcp this is the address at creation: the registered address follows that of
    /// this machine, and exists as soon as the machine has one.
    #[must_use]
    pub fn address(&self) -> &str {
        self.inner.outlet.address()
    }

    /// The number of current subscribers; while another thread blocks in
    /// [`block_for`](PublisherBuilder::block_for), the number when that began.
    #[must_use]
    pub fn subscriber_count(&self) -> usize {
        self.inner.outlet.subscriber_count()
    }

    /// Blocks until there are at least `count` subscribers.
    ///
    /// # Errors
    ///
    /// `TimedOut`; `Closed` once the node is shut down.
    pub fn blocking_wait_for_subscribers(
        &self,
        count: usize,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        self.inner.outlet.blocking_wait_for_subscribers(count, timeout)
    }

    /// Waits until there are at least `count` subscribers.
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
        self.inner.outlet.wait_for_subscribers(count, timeout).await
    }

    /// Blocks until the connection of every subscriber has taken all messages, at most for `timeout`;
    /// returns the number of messages that wait still. What a connection has taken, the kernel sends, also
    /// after the process has ended.
    #[must_use = "messages that wait are lost when the process ends"]
    pub fn flush(&self, timeout: Duration) -> usize {
        self.inner.outlet.flush(timeout)
    }

    /// What carries the messages: [`NodeBuilder::transport`](crate::NodeBuilder::transport).
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.inner.outlet.transport()
    }

    /// The counters. Does not wait for a thread that blocks in a publish.
    #[must_use]
    pub fn stats(&self) -> PublisherStats {
        self.inner.outlet.stats()
    }
}

impl<M> Clone for Publisher<M> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), message: PhantomData }
    }
}

impl<M> fmt::Debug for Publisher<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("topic", &self.inner.topic)
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl Counted for Inner {
    fn add_to(&self, stats: &mut NodeStats) {
        stats.publishers.push((self.topic.clone(), self.outlet.stats()));
    }

    fn describe(&self, parts: &mut NodeParts) {
        parts.publishers.push(PublisherInfo {
            topic: self.topic.clone(),
            message_type: self.message_type,
            address: self.outlet.address().to_owned(),
        });
    }
}

/// A numbered message that is ready to be sent.
struct Outgoing<'o> {
    topic: &'o [u8],
    header: &'o [u8],
    sender: Sender<'o>,
}

impl<'o> Outgoing<'o> {
    fn send<'b>(
        self,
        metadata: &'b [u8],
        buffers: impl Iterator<Item = Result<Part<'b>, PublishError>>,
    ) -> Result<Sent, PublishError>
    where
        'o: 'b,
    {
        let mut parts = Parts::new();
        parts.push(Part::Copy(self.topic));
        parts.push(Part::Copy(self.header));
        parts.push(Part::Copy(metadata));
        for buffer in buffers {
            parts.push(buffer?);
        }
        self.sender.send(&mut parts)
    }
}

/// Encodes metadata into `out`, which grows as needed and keeps its size for the next message. Returns the
/// metadata and the buffers of arrays.
fn encode_into<'o, 'b, M: Message>(
    message: &'b M,
    out: &'o mut Vec<u8>,
) -> Result<(&'o [u8], BufferList<'b>), EncodeError> {
    loop {
        let mut buffers = Collected(BufferList::new());
        match encode(message, out, &mut buffers).map(<[u8]>::len) {
            Ok(len) => return Ok((out.get(..len).unwrap_or_default(), buffers.0)),
            Err(EncodeError { kind: EncodeErrorKind::OutputFull, needed, .. }) => {
                out.resize(needed.next_power_of_two().max(256), 0);
            }
            Err(error) => return Err(error),
        }
    }
}

/// The bytes of its arrays.
type BufferList<'b> = SmallVec<[&'b [u8]; 5]>;

struct Collected<'b>(BufferList<'b>);

impl<'b> Buffers<'b> for Collected<'b> {
    fn push(&mut self, buffer: &'b [u8]) -> Result<(), &'b [u8]> {
        self.0.push(buffer);
        Ok(())
    }
}
