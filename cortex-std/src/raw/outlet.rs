//! What typed and raw publishers send through: a bound socket, its registration and its subscribers.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard, Weak};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::bound_socket::{BoundSocket, Reservation, SocketFile};
use super::drain::{DRAIN_INTERVAL, drain, unsent};
use super::latch::Latch;
use super::sender::{Room, Sender, Slot, deliver};
use crate::clock::wall_clock_ns;
use crate::discovery::Topic;
use crate::discovery::agent::{Agent, Registration, RegistrationGuard};
use crate::endpoint::AdvertisedAddress;
use crate::error::{CreateError, PublishError};
use crate::log::{ErrorChain, LogLimit, nonzero};
use crate::mutex::Mutex;
use crate::runtime::part::Part as NodePart;
use crate::stats::{PublisherCounters, PublisherStats};
use crate::transport::{
    ArenaMark, EventSource, Frame, Interrupt, Part, PeerList, PublisherSocket, Sent, Transport,
};
use crate::wire::discovery::RequestExt;

/// Pause of a caller of `stats` while another thread sends, which takes microseconds.
const BUSY_PAUSE: Duration = Duration::from_micros(20);
/// How long a publisher with subscribers sends without polling its subscriptions.
const SUBSCRIPTION_INTERVAL_NS: u64 = 1_000_000;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Published {
    /// Queued for every subscriber.
    Sent,
    /// Lost for at least one subscriber whose queue is full; queued for the others.
    ///
    /// Over ipc each lost message is reported, and [`PublisherStats::peers`] counts them for each subscriber.
    ///
    /// Over libzmq, which skips a congested subscriber until half of its queue is read, the losses of one
    /// subscriber are counted exactly. With several, every message counts until less than half of a queue is
    /// unsent, so a message that all of them got may count as well. The subscriber itself counts exactly what it lost, once it has read
    /// up to the gap; until then [`SubscriberStats::behind`](crate::SubscriberStats::behind) shows it.
    Congested,
    /// No subscriber; the sequence number is still consumed.
    NoSubscribers,
}

/// The parts of a message: topic, header, metadata and up to five arrays without an allocation.
pub(crate) type Parts<'p> = SmallVec<[Part<'p>; 8]>;

/// The peers of new subscriptions, where the transport tells them apart.
type Newcomers = SmallVec<[Option<u64>; 4]>;

/// Settings of an [`Outlet`].
pub(crate) struct OutletOptions {
    /// Counts only subscriptions to prefixes of this topic; `None` counts all.
    pub(crate) topic: Option<String>,
    /// How long sending blocks for a subscriber whose queue is full.
    pub(crate) block: Duration,
    /// Sends the last message again to every new subscriber.
    pub(crate) is_latched: bool,
    /// How long closing waits until the queues are empty.
    pub(crate) linger: Duration,
}

/// A bound socket with its registration and its subscribers. Usable from any thread; messages arrive in the
/// order in which the calls locked the outlet.
pub(crate) struct Outlet {
    address: String,
    transport: Transport,
    /// The subscribers, where the transport knows them; usable while a sender waits for room.
    peers: Option<Weak<dyn PeerList>>,
    options: OutletOptions,
    counters: PublisherCounters,
    room: Room,
    /// Dropped, or taken, before the socket closes. Never locked for long.
    registration: Mutex<RegistrationState>,
    /// Why no subscriber finds this publisher although it is registered.
    taken: Mutex<Option<String>>,
    state: Mutex<State>,
}

enum RegistrationState {
    /// No node registers this outlet.
    Unregistered,
    Registered(RegistrationGuard),
    Closed,
}

struct State {
    open: Option<Open>,
    /// Scratch memory for the metadata, kept between messages.
    scratch: Vec<u8>,
    /// Whether a peer has ever subscribed.
    has_seen_subscriber: bool,
    /// When a publish last polled the subscriptions, by the wall clock.
    polled_at_ns: u64,
    /// The last message of a latched publisher.
    kept: Vec<Frame>,
    /// A queue was full, and malloc still holds its memory: where.
    held_memory: Option<ArenaMark>,
    file_log: LogLimit,
}

/// Dropped in this order: the latch, the socket, and then its file.
struct Open {
    _latch: Option<Latch>,
    socket: Box<dyn PublisherSocket>,
    reservation: Reservation,
}

impl Outlet {
    /// An outlet that is not registered. Also returns how its address is found out where it may change.
    ///
    /// # Errors
    ///
    /// When no thread or file descriptor is left.
    pub(crate) fn open(
        bound: BoundSocket,
        options: OutletOptions,
    ) -> Result<(Arc<Self>, Option<AdvertisedAddress>), CreateError> {
        let BoundSocket { socket, reservation, address, advertised } = bound;
        let events = options.is_latched.then(|| socket.events());
        let counters = PublisherCounters::default();
        let (transport, peers) = (socket.transport(), socket.peers());
        counters.queue_limit.set(socket.queue_limit() as u64);
        let outlet = Arc::new(Self {
            address,
            transport,
            peers,
            counters,
            room: Room {
                block: options.block,
                stop: Interrupt::new()?,
                is_awaited: AtomicBool::new(false),
            },
            options,
            registration: Mutex::new(RegistrationState::Unregistered),
            taken: Mutex::default(),
            state: Mutex::new(State {
                open: Some(Open { _latch: None, socket, reservation }),
                scratch: Vec::new(),
                has_seen_subscriber: false,
                polled_at_ns: 0,
                kept: Vec::new(),
                held_memory: None,
                file_log: LogLimit::default(),
            }),
        });
        if let Some(events) = events {
            let weak = Arc::downgrade(&outlet);
            let serve = move || {
                let outlet = weak.upgrade();
                outlet
                    .inspect(|outlet| outlet.serve_subscribers(&mut outlet.state.lock()))
                    .is_some()
            };
            let latch = Latch::start(events, serve)?;
            if let Some(open) = &mut outlet.state.lock().open {
                open._latch = Some(latch);
            }
        }
        Ok((outlet, advertised))
    }

    /// Registers the outlet until it is closed.
    pub(crate) fn register(
        &self,
        agent: &Arc<Agent>,
        topic: Topic,
        ext: RequestExt,
        advertised: Option<AdvertisedAddress>,
    ) {
        let guard = agent.register(topic, ext, advertised);
        *self.registration.lock() = RegistrationState::Registered(guard);
    }

    /// The address that subscribers connect to.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What carries the messages.
    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    /// The state of the registration; `None` for an outlet that no node registers, or a closed one.
    pub(crate) fn registration(&self) -> Option<Registration> {
        match &*self.registration.lock() {
            RegistrationState::Registered(guard) => match &*self.taken.lock() {
                Some(reason) => Some(Registration::Refused(reason.clone())),
                None => Some(guard.state()),
            },
            RegistrationState::Unregistered | RegistrationState::Closed => None,
        }
    }

    /// Whether the outlet is closed, or about to be closed with its node.
    pub(super) fn is_closing(&self) -> bool {
        self.room.stop.is_woken()
    }

    /// Is set once the outlet is about to be closed.
    pub(super) fn stop(&self) -> &Interrupt {
        &self.room.stop
    }

    /// The events of subscriptions; `None` once closed, and while a sender waits for room.
    pub(super) fn events(&self) -> Option<EventSource> {
        loop {
            match self.state.try_lock() {
                Some(state) => return state.open.as_ref().map(|open| open.socket.events()),
                None if self.room.is_awaited.load(Ordering::SeqCst) => return None,
                // The thread that sends is done in a moment, or begins to wait.
                None => std::thread::sleep(BUSY_PAUSE),
            }
        }
    }

    /// Blocks until every message was taken by the connection of each subscriber, at most for `timeout`;
    /// returns how many were not.
    pub(crate) fn flush(&self, timeout: Duration) -> usize {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let unsent = match &mut self.state.lock().open {
                Some(open) => unsent(&mut *open.socket),
                None => 0,
            };
            if unsent == 0 || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return unsent;
            }
            std::thread::sleep(DRAIN_INTERVAL);
        }
    }

    /// The counters, with the subscribers of now; of when the wait began while a sender waits for room.
    pub(crate) fn stats(&self) -> PublisherStats {
        let peers = self.peers.as_ref().and_then(Weak::upgrade);
        let (peers, shared) = match peers {
            Some(peers) => (peers.peers(), peers.shared()),
            None => Default::default(),
        };
        PublisherStats { peers, shared, ..self.counted() }
    }

    /// Takes back shared memory that subscribers have returned.
    pub(crate) fn collect_returns(&self) {
        if let Some(peers) = self.peers.as_ref().and_then(Weak::upgrade) {
            peers.collect_returns();
        }
    }

    /// The number of subscribers; as [`stats`](Self::stats).
    pub(crate) fn subscriber_count(&self) -> usize {
        self.counted().subscribers
    }

    fn counted(&self) -> PublisherStats {
        loop {
            match self.state.try_lock() {
                Some(mut state) => {
                    self.serve_subscribers(&mut state);
                    if let Some(open) = &mut state.open {
                        self.counters.waiting.set(unsent(&mut *open.socket) as u64);
                        self.counters.queue_limit.set(open.socket.queue_limit() as u64);
                    }
                }
                None if self.room.is_awaited.load(Ordering::SeqCst) => {}
                None => {
                    // The thread that sends is done in a moment, or begins to wait.
                    std::thread::sleep(BUSY_PAUSE);
                    continue;
                }
            }
            return self.counters.snapshot();
        }
    }

    /// Binds the socket file again where it was deleted; logs that, and a process that took the address.
    fn keep_bound(&self, state: &mut State) {
        let State { open: Some(open), file_log, .. } = state else { return };
        let address = &self.address;
        let mut taken = self.taken.lock();
        match open.reservation.keep_bound(&mut *open.socket) {
            Ok(SocketFile::Present) => *taken = None,
            Ok(SocketFile::BoundAgain) => {
                *taken = None;
                tracing::warn!(address, "the socket file of a publisher was deleted; bound again");
            }
            Ok(SocketFile::Taken { pid }) if taken.is_none() => {
                let by = pid.map_or_else(String::new, |pid| format!(" {pid}"));
                let reason = format!(
                    "the socket file was deleted and process{by} has bound {address}: end one of the two publishers"
                );
                tracing::error!(reason, "new subscribers do not find this publisher");
                *taken = Some(reason);
            }
            Ok(SocketFile::Taken { .. }) => {}
            Err(error) => {
                if let Some(suppressed) = file_log.pass(Instant::now()) {
                    let error = ErrorChain(&error);
                    tracing::warn!(address, %error, suppressed = nonzero(suppressed), "cannot bind the deleted socket file again");
                }
            }
        }
    }

    /// Returns the memory of a queue that was full, once it is empty.
    fn release_memory(&self, state: &mut State) {
        let State { open: Some(open), held_memory, .. } = state else { return };
        if held_memory.is_some()
            && unsent(&mut *open.socket) == 0
            && let Some(mark) = held_memory.take()
        {
            mark.release();
        }
    }

    /// Sends one message that `send` makes of its sequence number and timestamp, unless no peer has ever
    /// subscribed.
    ///
    /// # Errors
    ///
    /// `Closed`, and those of `send`; the sequence number is then not consumed.
    pub(crate) fn publish(
        &self,
        send: impl FnOnce(Slot, &mut Vec<u8>, Sender<'_>) -> Result<Sent, PublishError>,
    ) -> Result<Published, PublishError> {
        // Dropped after the lock: the owner of the previous message may run any code.
        let mut released = Vec::new();
        let mut state: MutexGuard<'_, State> = self.state.lock();
        let now = wall_clock_ns();
        let newcomers: Newcomers = if self.should_poll_subscriptions(&state, now) {
            state.polled_at_ns = now;
            self.poll_subscriptions(&mut state)?
        } else {
            Newcomers::new()
        };
        let State { open, scratch, has_seen_subscriber, kept, held_memory, .. } = &mut *state;
        let open = open.as_mut().ok_or(PublishError::Closed)?;
        self.counters.last_publish_ns.set(now);
        // The counters change only while the state is locked.
        let counters = &self.counters;
        let has_subscribers = counters.subscribers.value() > 0;
        // A peer may unsubscribe what it never subscribed, so a count of zero proves nothing.
        if !*has_seen_subscriber && !self.options.is_latched {
            counters.published.add_alone(1);
            return Ok(Published::NoSubscribers);
        }
        let slot = Slot { sequence: counters.published.value(), timestamp_ns: now };
        let sender = Sender {
            socket: &mut *open.socket,
            counters,
            room: &self.room,
            kept: self.options.is_latched.then_some((kept, &mut released)),
        };
        match send(slot, scratch, sender) {
            Ok(sent) => {
                // Only now: a message that cannot be encoded was never sent and cannot be lost.
                counters.published.add_alone(1);
                match sent {
                    _ if !has_subscribers => Ok(Published::NoSubscribers),
                    Sent::Delivered => Ok(Published::Sent),
                    Sent::Congested => {
                        counters.congested.add(1);
                        held_memory.get_or_insert_with(ArenaMark::new);
                        Ok(Published::Congested)
                    }
                }
            }
            Err(error) => {
                // New subscribers get the message before this one.
                self.repeat_kept(&mut state, &newcomers)?;
                Err(error)
            }
        }
    }

    /// Whether subscriptions may have changed unseen for too long; polling costs a system call. Without a
    /// subscriber nothing is sent, and polling is worth it for each message.
    fn should_poll_subscriptions(&self, state: &State, now_ns: u64) -> bool {
        self.options.is_latched
            || self.counters.subscribers.value() == 0
            // A clock that was set back makes the difference very large.
            || now_ns.wrapping_sub(state.polled_at_ns) >= SUBSCRIPTION_INTERVAL_NS
    }

    /// Counts the subscribers; returns the new ones.
    fn poll_subscriptions(&self, state: &mut State) -> Result<Newcomers, PublishError> {
        let count = &self.counters.subscribers;
        let open = state.open.as_mut().ok_or(PublishError::Closed)?;
        let mut newcomers = Newcomers::new();
        while let Some(subscription) = open.socket.next_subscription()? {
            let topic = self.options.topic.as_deref().map(str::as_bytes);
            if topic.is_some_and(|topic| !topic.starts_with(&subscription.topic)) {
                continue;
            }
            if subscription.subscribe {
                newcomers.push(subscription.peer);
                state.has_seen_subscriber = true;
                count.add(1);
            } else {
                count.set(count.value().saturating_sub(1));
            }
        }
        Ok(newcomers)
    }

    /// Sends the kept message to new subscribers: to them alone, where the transport can; otherwise to all.
    fn repeat_kept(&self, state: &mut State, newcomers: &Newcomers) -> Result<(), PublishError> {
        if newcomers.is_empty() || state.kept.is_empty() {
            return Ok(());
        }
        let State { open, kept, .. } = state;
        let open = open.as_mut().ok_or(PublishError::Closed)?;
        let mut repeat = || -> Result<Vec<Part<'_>>, PublishError> {
            Ok(kept
                .iter_mut()
                .map(|frame| frame.share().map(Part::Frame))
                .collect::<Result<_, _>>()?)
        };
        let mut sent = Sent::Delivered;
        if newcomers.iter().all(Option::is_some) {
            for peer in newcomers.iter().flatten() {
                if open.socket.send_to(*peer, &mut repeat()?)? == Sent::Congested {
                    sent = Sent::Congested;
                }
            }
        } else {
            sent = deliver(&mut *open.socket, &mut repeat()?, &self.room, self.room.block)?;
        }
        if sent == Sent::Congested {
            self.counters.congested.add(1);
        }
        Ok(())
    }

    /// Counts the subscribers and sends the kept message to new ones.
    fn serve_subscribers(&self, state: &mut State) {
        let newcomers = self.poll_subscriptions(state);
        match newcomers.and_then(|newcomers| self.repeat_kept(state, &newcomers)) {
            Ok(()) | Err(PublishError::Closed) => {}
            Err(error) => {
                let (address, error) = (&self.address, ErrorChain(&error));
                tracing::debug!(address, %error, "cannot serve new subscribers");
            }
        }
    }
}

impl NodePart for Outlet {
    fn close(&self, begun: Instant) {
        // A thread that waits for room holds the lock.
        self.interrupt();
        // Unregistered first, so that no subscriber is sent to a socket that is closed.
        let registration =
            std::mem::replace(&mut *self.registration.lock(), RegistrationState::Closed);
        drop(registration);
        let (mut open, kept) = {
            let mut state = self.state.lock();
            self.counters.subscribers.set(0);
            (state.open.take(), std::mem::take(&mut state.kept))
        };
        if let Some(open) = &mut open {
            drain(&mut *open.socket, &self.address, self.options.linger, begun);
        }
        drop((open, kept));
    }

    fn interrupt(&self) {
        self.room.stop.wake();
    }

    fn on_idle(&self) {
        // A thread that holds the lock uses the socket, which has the same effect.
        if let Some(mut state) = self.state.try_lock() {
            self.serve_subscribers(&mut state);
            self.release_memory(&mut state);
            self.keep_bound(&mut state);
        }
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").field("address", &self.address).finish_non_exhaustive()
    }
}
