//! Publishing: encode, number, send.

mod builder;
mod latch;
mod loan;

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use smallvec::SmallVec;

use crate::agent::RegistrationGuard;
use crate::census::{Counted, NodeStats};
use crate::error::PublishError;
use crate::node::Closable;
use crate::place::Hold;
use crate::socket::frame::Frame;
use crate::socket::interrupt::{Interrupt, Wait};
use crate::socket::loan::LoanPool;
use crate::socket::owner::{Held, ViewFamily};
use crate::socket::xpub::{Part, Sent, TrySent, XpubSocket, share_parts};
use crate::stats::{PublisherCounters, PublisherStats};
use crate::wire::{Buffers, Element, EncodeError, EncodeErrorKind, Header, Message, encode};

pub use builder::PublisherBuilder;
pub use loan::Loan;

use latch::Latch;

/// How often a wait looks again.
const POLL: Duration = Duration::from_millis(1);
/// The same, where somebody is about to be done.
const SHORT_POLL: Duration = Duration::from_micros(20);

/// How long a publisher that has subscribers sends without looking who came and left.
const LOOK_NS: u64 = 1_000_000;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a congested subscriber has lost the message"]
pub enum Published {
    /// Everybody who subscribed has it in its queue, but for those that are congested already.
    Sent,
    /// Some subscriber's queue was full and that one lost it; everybody else has it.
    ///
    /// This is the start of a congestion: libzmq then sets the subscriber aside until half of its
    /// queue is read, and says no more of it. The subscriber itself counts exactly what it lost.
    Congested,
    /// Nobody subscribes; the number was used up all the same.
    NoSubscribers,
}

/// Whether the daemon knows of a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Registration {
    /// Not yet, or not any more; it is being tried.
    Pending,
    /// It does.
    Registered,
    /// It refused, for this reason; it is asked again.
    Refused(String),
}

/// Publishes messages of one type on one topic.
///
/// Clones share the socket and the numbering, and may be used from any thread: numbers arrive in
/// order. The publisher ends with its last clone, or with its node.
///
/// # Examples
///
/// ```
/// use cortex_std::{Node, Published};
/// use cortex_std::wire::StringMessage;
///
/// # let folder = tempfile::tempdir()?;
/// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
/// let node = Node::builder("talker").discovery(&address).build()?;
/// let notes = node.publisher::<StringMessage>("/notes").create()?;
/// assert_eq!(notes.publish(&StringMessage { data: "hello" })?, Published::NoSubscribers);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// In a struct's field the type needs its lifetime: `Publisher<StringMessage<'static>>`.
pub struct Publisher<M> {
    inner: Arc<Inner>,
    message: PhantomData<fn() -> M>,
}

struct Inner {
    topic: String,
    address: String,
    is_latched: bool,
    counters: PublisherCounters,
    room: Room,
    /// Dropped, or taken, before the socket closes. Never locked for long.
    registration: Mutex<Option<RegistrationGuard>>,
    state: Mutex<State>,
    loans: LoanPool,
}

/// How a full queue is waited for.
struct Room {
    block: Duration,
    /// Ends a wait when the node does.
    stop: Interrupt,
    /// Whether somebody waits, who has the state locked.
    is_awaited: AtomicBool,
}

struct State {
    open: Option<Open>,
    /// Kept for its memory.
    metadata: Vec<u8>,
    /// Whether anybody ever subscribed.
    has_seen: bool,
    /// When a publish last looked who came and left, by the wall clock.
    looked_at_ns: u64,
    /// The last message of a latched publisher.
    kept: Vec<Frame>,
}

/// Dropped in this order: no more watched, closed, and then the file removed.
struct Open {
    latch: Option<Latch>,
    socket: XpubSocket,
    _hold: Hold,
}

/// The views of a message type.
struct Family<M>(PhantomData<fn() -> M>);

impl<M: Message + 'static> ViewFamily for Family<M> {
    type View<'a> = M::View<'a>;
}

impl<M: Message + 'static> Publisher<M> {
    /// Sends a message to everybody who subscribed, without waiting. Arrays are copied once.
    ///
    /// # Errors
    ///
    /// When the message cannot be encoded, or the node was shut down.
    pub fn publish(&self, message: &M::View<'_>) -> Result<Published, PublishError> {
        self.send(|metadata, sender| {
            let (metadata, buffers) = encode_into(message, metadata)?;
            sender.send(metadata, buffers.into_iter().map(|buffer| Ok(Part::Copy(buffer))))
        })
    }

    /// Sends a message that borrows from `owner`, without a copy of its arrays: the frames keep
    /// the owner until libzmq has sent them. An array of a kibibyte or less is copied all the same, which
    /// costs less.
    ///
    /// The owner may be dropped on libzmq's own thread, or inside a later call to this publisher:
    /// its `Drop` must neither wait nor use the publisher or the node. What waits for a subscriber
    /// that vanished is released within about a second.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use cortex_std::wire::{ArrayMessage, ArrayView};
    /// # fn example(
    /// #     publisher: &cortex_std::Publisher<ArrayMessage<'static>>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let pixels = Arc::new(vec![0_u8; 640 * 480]);
    /// let _ = publisher.publish_from(pixels, |pixels| ArrayMessage {
    ///     data: ArrayView::from_slice(pixels, &[480, 640]).expect("it is that large"),
    ///     name: "grey",
    ///     frame_id: "camera",
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn publish_from<O: Send + Sync + 'static>(
        &self,
        owner: Arc<O>,
        borrow: impl for<'a> FnOnce(&'a O) -> M::View<'a>,
    ) -> Result<Published, PublishError> {
        self.publish_held(&Held::<Family<M>, O>::new(owner, borrow))
    }

    /// Borrows memory for an array, to be filled in place and published without a copy.
    ///
    /// Shape: dimensions in items, C order. The items are zero, or whatever an earlier loan left.
    ///
    /// # Errors
    ///
    /// When the shape gives more than memory can hold.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use cortex_std::wire::ImageMessage;
    /// # fn example(
    /// #     publisher: &cortex_std::Publisher<ImageMessage<'static>>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut pixels = publisher.loan::<u8>(&[480, 640, 3])?;
    /// pixels.fill(127);
    /// let _ = pixels.publish(|array| ImageMessage::new(array, "rgb8"))?;
    /// # Ok(()) }
    /// ```
    pub fn loan<T: Element + bytemuck::Pod>(
        &self,
        shape: &[usize],
    ) -> Result<Loan<'_, M, T>, PublishError> {
        Loan::new(self, shape)
    }

    fn publish_held<O: ?Sized + Send + Sync + 'static>(
        &self,
        held: &Arc<Held<Family<M>, O>>,
    ) -> Result<Published, PublishError> {
        self.send(|metadata, sender| {
            held.with(|message, keeper| {
                let (metadata, buffers) = encode_into(message, metadata)?;
                let frames = buffers
                    .into_iter()
                    .map(|buffer| keeper.frame(buffer).map(Part::Frame).map_err(Into::into));
                sender.send(metadata, frames)
            })
        })
    }

    /// Numbers a message and lets `encode` send it, unless nobody ever subscribed.
    fn send(
        &self,
        encode: impl FnOnce(&mut Vec<u8>, Sender<'_>) -> Result<Sent, PublishError>,
    ) -> Result<Published, PublishError> {
        // Dropped behind the lock: the owner of what was kept may do anything.
        let mut released = Vec::new();
        let mut state = self.inner.lock();
        let now = wall_clock_ns();
        let newcomers = if state.is_to_look(now, &self.inner) {
            state.looked_at_ns = now;
            state.count_subscribers(&self.inner)?
        } else {
            0
        };
        let State { open, metadata, has_seen, kept, .. } = &mut *state;
        let open = open.as_mut().ok_or(PublishError::Closed)?;
        // They change only while the state is locked.
        let counters = &self.inner.counters;
        let nobody = counters.subscribers.value() == 0;
        // A peer may unsubscribe what it never subscribed, so a count of zero proves nothing.
        if !*has_seen && !self.inner.is_latched {
            counters.published.add(1);
            return Ok(Published::NoSubscribers);
        }
        let header = Header::of::<M>(now, counters.published.value()).encode();
        let sender = Sender {
            socket: &mut open.socket,
            publisher: &self.inner,
            header: &header,
            kept: self.inner.is_latched.then_some((kept, &mut released)),
        };
        match encode(metadata, sender) {
            Ok(sent) => {
                // Only now: what cannot be encoded is no message that somebody could have lost.
                counters.published.add(1);
                match sent {
                    _ if nobody => Ok(Published::NoSubscribers),
                    Sent::Delivered => Ok(Published::Sent),
                    Sent::Congested => {
                        counters.congested.add(1);
                        Ok(Published::Congested)
                    }
                }
            }
            Err(error) => {
                // Who came just now gets the message before this one.
                state.repeat_for(newcomers, &self.inner)?;
                Err(error)
            }
        }
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
    /// With a daemon behind tcp, what it was when this was made: what is registered follows this
    /// machine's address, and is an address of this machine as soon as it has one.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.inner.address
    }

    /// Whether the daemon knows of this publisher.
    #[must_use]
    pub fn registration(&self) -> Registration {
        let registration = self.inner.lock_registration();
        registration.as_ref().map_or(Registration::Pending, RegistrationGuard::state)
    }

    /// How many subscribers there are at this moment; while somebody waits in
    /// [`block_for`](PublisherBuilder::block_for), how many there were when that began.
    #[must_use]
    pub fn subscriber_count(&self) -> usize {
        self.stats().subscribers
    }

    /// Waits until there are at least `count` subscribers; false: there were not in time.
    pub fn wait_for_subscribers_blocking(&self, count: usize, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        while self.subscriber_count() < count {
            let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if is_late || self.inner.is_closed() {
                return false;
            }
            std::thread::sleep(POLL);
        }
        true
    }

    /// Waits until there are at least `count` subscribers; false: there were not in time.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    #[cfg(feature = "tokio")]
    pub async fn wait_for_subscribers(&self, count: usize, timeout: Duration) -> bool {
        let enough = async {
            while self.subscriber_count() < count {
                if self.inner.is_closed() {
                    return false;
                }
                tokio::time::sleep(POLL).await;
            }
            true
        };
        tokio::time::timeout(timeout, enough).await.unwrap_or(false)
    }

    /// What was published so far. It does not wait for who publishes.
    #[must_use]
    pub fn stats(&self) -> PublisherStats {
        self.inner.snapshot()
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
            .field("address", &self.inner.address)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_registration(&self) -> MutexGuard<'_, Option<RegistrationGuard>> {
        self.registration.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closed(&self) -> bool {
        self.lock_registration().is_none()
    }

    /// The counters, after a look at who came and left, unless somebody waits for room.
    fn snapshot(&self) -> PublisherStats {
        loop {
            match self.state.try_lock() {
                Ok(mut state) => self.serve_locked(&mut state),
                Err(TryLockError::Poisoned(state)) => self.serve_locked(&mut state.into_inner()),
                Err(TryLockError::WouldBlock) if self.room.is_awaited.load(Ordering::SeqCst) => {}
                Err(TryLockError::WouldBlock) => {
                    // Who sends is done in a moment, or begins to wait.
                    std::thread::sleep(SHORT_POLL);
                    continue;
                }
            }
            return self.counters.snapshot();
        }
    }

    /// Follows who came and left; a latched publisher sends its message to who came.
    fn serve(&self) {
        self.serve_locked(&mut self.lock());
    }

    fn serve_locked(&self, state: &mut State) {
        let newcomers = state.count_subscribers(self);
        match newcomers.and_then(|count| state.repeat_for(count, self)) {
            Ok(()) | Err(PublishError::Closed) => {}
            Err(error) => tracing::debug!(topic = self.topic, %error, "subscribers not served"),
        }
    }
}

impl State {
    /// Whether somebody may have come or left for too long without being seen; the look costs a system
    /// call. Before anybody came nothing is sent, so then it is worth one for each message.
    fn is_to_look(&self, now_ns: u64, publisher: &Inner) -> bool {
        publisher.is_latched
            || publisher.counters.subscribers.value() == 0
            // A clock that was set back makes it very large.
            || now_ns.wrapping_sub(self.looked_at_ns) >= LOOK_NS
    }

    /// Follows who came and left; returns how many came.
    fn count_subscribers(&mut self, publisher: &Inner) -> Result<usize, PublishError> {
        let count = &publisher.counters.subscribers;
        let open = self.open.as_mut().ok_or(PublishError::Closed)?;
        let mut newcomers = 0_usize;
        while let Some(subscription) = open.socket.next_subscription()? {
            if !publisher.topic.as_bytes().starts_with(&subscription.topic) {
                continue;
            }
            if subscription.subscribe {
                newcomers = newcomers.saturating_add(1);
                self.has_seen = true;
                count.add(1);
            } else {
                count.set(count.value().saturating_sub(1));
            }
        }
        Ok(newcomers)
    }

    /// Sends the kept message once more if somebody came.
    fn repeat_for(&mut self, newcomers: usize, publisher: &Inner) -> Result<(), PublishError> {
        if newcomers == 0 || self.kept.is_empty() {
            return Ok(());
        }
        let open = self.open.as_mut().ok_or(PublishError::Closed)?;
        let frames: Result<Vec<_>, _> = self.kept.iter_mut().map(Frame::share).collect();
        let mut parts: Vec<_> = frames?.into_iter().map(Part::Frame).collect();
        let sent = deliver(&mut open.socket, &mut parts, &publisher.room)?;
        if sent == Sent::Congested {
            publisher.counters.congested.add(1);
        }
        Ok(())
    }
}

impl Counted for Inner {
    fn count(&self, stats: &mut NodeStats) {
        stats.publishers.push((self.topic.clone(), self.snapshot()));
    }
}

impl Closable for Inner {
    fn close(&self) {
        // Who waits for room holds the lock.
        self.interrupt();
        // Unregistered first: nobody is sent to a socket that is closed.
        let registration = self.lock_registration().take();
        drop(registration);
        let (open, kept) = {
            let mut state = self.lock();
            (state.open.take(), std::mem::take(&mut state.kept))
        };
        drop((open, kept));
    }

    fn interrupt(&self) {
        self.room.stop.wake();
    }

    fn tend(&self) {
        // Who has the lock works with the socket, which does as well.
        if let Ok(mut state) = self.state.try_lock() {
            self.serve_locked(&mut state);
        }
    }
}

/// Puts the frames of one message together and sends them.
struct Sender<'s> {
    socket: &'s mut XpubSocket,
    publisher: &'s Inner,
    header: &'s [u8],
    /// Where a latched publisher keeps its message, and where the one before goes.
    kept: Option<(&'s mut Vec<Frame>, &'s mut Vec<Frame>)>,
}

impl<'s> Sender<'s> {
    fn send<'b>(
        mut self,
        metadata: &'b [u8],
        buffers: impl Iterator<Item = Result<Part<'b>, PublishError>>,
    ) -> Result<Sent, PublishError>
    where
        's: 'b,
    {
        let topic = self.publisher.topic.as_bytes();
        let first = [Part::Copy(topic), Part::Copy(self.header), Part::Copy(metadata)];
        let mut parts: Parts<'_> = first.into_iter().collect();
        for buffer in buffers {
            parts.push(buffer?);
        }
        let len: usize = parts.iter().map(Part::len).sum();
        if let Some((kept, released)) = self.kept.take() {
            *released = std::mem::replace(kept, share_parts(&mut parts)?);
        }
        let sent = deliver(self.socket, &mut parts, &self.publisher.room)?;
        self.publisher.counters.sent_bytes.add(len as u64);
        Ok(sent)
    }
}

/// Sends to everybody as soon as everybody has room; if that is not in time, to who has.
fn deliver(
    socket: &mut XpubSocket,
    parts: &mut [Part<'_>],
    room: &Room,
) -> Result<Sent, PublishError> {
    if !room.block.is_zero() {
        // Where there is room, which is mostly so, nobody looks at a clock.
        let mut deadline = None;
        loop {
            if socket.try_send(parts)? == TrySent::Delivered {
                return Ok(Sent::Delivered);
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now().checked_add(room.block));
            room.is_awaited.store(true, Ordering::SeqCst);
            let wait = socket.wait_for_room(deadline, Some(&room.stop));
            room.is_awaited.store(false, Ordering::SeqCst);
            // At the end of the node the others shall have it all the same.
            if wait? != Wait::Ready {
                break;
            }
        }
    }
    Ok(socket.send(parts)?)
}

/// Writes metadata into `out`, which grows to what is needed and stays so for the next message;
/// returns it, and the buffers of arrays.
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

/// The parts of a message: topic, header, metadata and up to five arrays without an allocation.
pub(crate) type Parts<'p> = SmallVec<[Part<'p>; 8]>;
/// The bytes of its arrays.
type BufferList<'b> = SmallVec<[&'b [u8]; 5]>;

struct Collected<'b>(BufferList<'b>);

impl<'b> Buffers<'b> for Collected<'b> {
    fn push(&mut self, buffer: &'b [u8]) -> Result<(), &'b [u8]> {
        self.0.push(buffer);
        Ok(())
    }
}

/// Nanoseconds since the Unix epoch; 0 for a clock before it.
fn wall_clock_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
