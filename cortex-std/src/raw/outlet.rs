//! What typed and raw publishers send through: a bound socket, its registration and its subscribers.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::bound_socket::{BoundSocket, Reservation};
use super::latch::Latch;
use crate::clock::wall_clock_ns;
use crate::discovery::Topic;
use crate::discovery::agent::{Agent, Registration, RegistrationGuard};
use crate::endpoint::AdvertisedAddress;
use crate::error::{CreateError, PublishError};
use crate::log::ErrorChain;
use crate::mutex::Mutex;
use crate::runtime::part::Part as NodePart;
use crate::stats::{PublisherCounters, PublisherStats};
use crate::transport::{
    EventSource, Frame, Interrupt, Part, PublisherSocket, Sent, TrySent, WaitResult, share_parts,
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
    /// Queued for every subscriber that is not already congested.
    Sent,
    /// Lost for a subscriber whose queue became full; queued for the others.
    ///
    /// This is the start of a congestion: libzmq then skips the subscriber until half of its queue is
    /// read and reports nothing more. The subscriber itself counts exactly what it lost, once it has read
    /// up to the gap; until then [`SubscriberStats::behind`](crate::SubscriberStats::behind) shows it.
    Congested,
    /// No subscriber; the sequence number is still consumed.
    NoSubscribers,
}

/// The parts of a message: topic, header, metadata and up to five arrays without an allocation.
pub(crate) type Parts<'p> = SmallVec<[Part<'p>; 8]>;

/// Settings of an [`Outlet`].
pub(crate) struct OutletOptions {
    /// Counts only subscriptions to prefixes of this topic; `None` counts all.
    pub(crate) topic: Option<String>,
    /// How long sending blocks for a subscriber whose queue is full.
    pub(crate) block: Duration,
    /// Sends the last message again to every new subscriber.
    pub(crate) is_latched: bool,
}

/// A bound socket with its registration and its subscribers. Usable from any thread; messages arrive in the
/// order in which the calls locked the outlet.
pub(crate) struct Outlet {
    address: String,
    options: OutletOptions,
    counters: PublisherCounters,
    room: Room,
    /// Dropped, or taken, before the socket closes. Never locked for long.
    registration: Mutex<RegistrationState>,
    state: Mutex<State>,
}

enum RegistrationState {
    /// No node registers this outlet.
    Unregistered,
    Registered(RegistrationGuard),
    Closed,
}

/// How a sender waits for a full queue.
struct Room {
    block: Duration,
    /// Ends a wait when the node shuts down.
    stop: Interrupt,
    /// Whether a thread waits while it holds the state's lock.
    is_awaited: AtomicBool,
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
}

/// Dropped in this order: the latch, the socket, and then its file.
struct Open {
    _latch: Option<Latch>,
    socket: Box<dyn PublisherSocket>,
    _reservation: Reservation,
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
        let outlet = Arc::new(Self {
            address,
            counters: PublisherCounters::default(),
            room: Room {
                block: options.block,
                stop: Interrupt::new()?,
                is_awaited: AtomicBool::new(false),
            },
            options,
            registration: Mutex::new(RegistrationState::Unregistered),
            state: Mutex::new(State {
                open: Some(Open { _latch: None, socket, _reservation: reservation }),
                scratch: Vec::new(),
                has_seen_subscriber: false,
                polled_at_ns: 0,
                kept: Vec::new(),
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

    /// The state of the registration; `None` for an outlet that no node registers, or a closed one.
    pub(crate) fn registration(&self) -> Option<Registration> {
        match &*self.registration.lock() {
            RegistrationState::Registered(guard) => Some(guard.state()),
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

    /// The counters, with the subscribers of now; of when the wait began while a sender waits for room.
    pub(crate) fn stats(&self) -> PublisherStats {
        loop {
            match self.state.try_lock() {
                Some(mut state) => self.serve_subscribers(&mut state),
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
        let newcomers = if self.should_poll_subscriptions(&state, now) {
            state.polled_at_ns = now;
            self.poll_subscriptions(&mut state)?
        } else {
            0
        };
        let State { open, scratch, has_seen_subscriber, kept, .. } = &mut *state;
        let open = open.as_mut().ok_or(PublishError::Closed)?;
        self.counters.last_publish_ns.set(now);
        // The counters change only while the state is locked.
        let counters = &self.counters;
        let has_subscribers = counters.subscribers.value() > 0;
        // A peer may unsubscribe what it never subscribed, so a count of zero proves nothing.
        if !*has_seen_subscriber && !self.options.is_latched {
            counters.published.add(1);
            return Ok(Published::NoSubscribers);
        }
        let slot = Slot { sequence: counters.published.value(), timestamp_ns: now };
        let sender = Sender {
            socket: &mut *open.socket,
            outlet: self,
            kept: self.options.is_latched.then_some((kept, &mut released)),
        };
        match send(slot, scratch, sender) {
            Ok(sent) => {
                // Only now: a message that cannot be encoded was never sent and cannot be lost.
                counters.published.add(1);
                match sent {
                    _ if !has_subscribers => Ok(Published::NoSubscribers),
                    Sent::Delivered => Ok(Published::Sent),
                    Sent::Congested => {
                        counters.congested.add(1);
                        Ok(Published::Congested)
                    }
                }
            }
            Err(error) => {
                // New subscribers get the message before this one.
                self.repeat_kept(&mut state, newcomers)?;
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

    /// Counts the subscribers; returns how many are new.
    fn poll_subscriptions(&self, state: &mut State) -> Result<usize, PublishError> {
        let count = &self.counters.subscribers;
        let open = state.open.as_mut().ok_or(PublishError::Closed)?;
        let mut newcomers = 0_usize;
        while let Some(subscription) = open.socket.next_subscription()? {
            let topic = self.options.topic.as_deref().map(str::as_bytes);
            if topic.is_some_and(|topic| !topic.starts_with(&subscription.topic)) {
                continue;
            }
            if subscription.subscribe {
                newcomers = newcomers.saturating_add(1);
                state.has_seen_subscriber = true;
                count.add(1);
            } else {
                count.set(count.value().saturating_sub(1));
            }
        }
        Ok(newcomers)
    }

    /// Sends the kept message again where there are new subscribers.
    fn repeat_kept(&self, state: &mut State, newcomers: usize) -> Result<(), PublishError> {
        if newcomers == 0 || state.kept.is_empty() {
            return Ok(());
        }
        let open = state.open.as_mut().ok_or(PublishError::Closed)?;
        let frames: Result<Vec<_>, _> = state.kept.iter_mut().map(Frame::share).collect();
        let mut parts: Vec<_> = frames?.into_iter().map(Part::Frame).collect();
        let sent = deliver(&mut *open.socket, &mut parts, &self.room)?;
        if sent == Sent::Congested {
            self.counters.congested.add(1);
        }
        Ok(())
    }

    /// Counts the subscribers and sends the kept message to new ones.
    fn serve_subscribers(&self, state: &mut State) {
        let newcomers = self.poll_subscriptions(state);
        match newcomers.and_then(|count| self.repeat_kept(state, count)) {
            Ok(()) | Err(PublishError::Closed) => {}
            Err(error) => {
                let (address, error) = (&self.address, ErrorChain(&error));
                tracing::debug!(address, %error, "cannot serve new subscribers");
            }
        }
    }
}

impl NodePart for Outlet {
    fn close(&self) {
        // A thread that waits for room holds the lock.
        self.interrupt();
        // Unregistered first, so that no subscriber is sent to a socket that is closed.
        let registration =
            std::mem::replace(&mut *self.registration.lock(), RegistrationState::Closed);
        drop(registration);
        let (open, kept) = {
            let mut state = self.state.lock();
            self.counters.subscribers.set(0);
            (state.open.take(), std::mem::take(&mut state.kept))
        };
        drop((open, kept));
    }

    fn interrupt(&self) {
        self.room.stop.wake();
    }

    fn on_idle(&self) {
        // A thread that holds the lock uses the socket, which has the same effect.
        if let Some(mut state) = self.state.try_lock() {
            self.serve_subscribers(&mut state);
        }
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outlet").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The number and the time of a message.
pub(crate) struct Slot {
    pub(crate) sequence: u64,
    /// Nanoseconds since the Unix epoch, by the wall clock.
    pub(crate) timestamp_ns: u64,
}

/// Sends the parts of one message, while the outlet is locked.
pub(crate) struct Sender<'o> {
    socket: &'o mut (dyn PublisherSocket + 'static),
    outlet: &'o Outlet,
    /// Where a latched publisher keeps its message, and where the previous one goes.
    kept: Option<(&'o mut Vec<Frame>, &'o mut Vec<Frame>)>,
}

impl Sender<'_> {
    /// Sends a message; where a queue is full, after waiting as long as the options allow.
    ///
    /// # Errors
    ///
    /// `Socket`.
    pub(crate) fn send(mut self, parts: &mut [Part<'_>]) -> Result<Sent, PublishError> {
        let len: usize = parts.iter().map(Part::len).sum();
        if let Some((kept, released)) = self.kept.take() {
            *released = std::mem::replace(kept, share_parts(parts)?);
        }
        let sent = deliver(self.socket, parts, &self.outlet.room)?;
        self.outlet.counters.sent_bytes.add(len as u64);
        Ok(sent)
    }
}

/// Sends to all subscribers as soon as all have room; after the time to block, to those that have.
fn deliver(
    socket: &mut dyn PublisherSocket,
    parts: &mut [Part<'_>],
    room: &Room,
) -> Result<Sent, PublishError> {
    if !room.block.is_zero() {
        // The clock is read only once there is no room.
        let mut deadline = None;
        loop {
            if socket.try_send(parts)? == TrySent::Delivered {
                return Ok(Sent::Delivered);
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now().checked_add(room.block));
            room.is_awaited.store(true, Ordering::SeqCst);
            let wait = socket.wait_for_room(deadline, Some(&room.stop));
            room.is_awaited.store(false, Ordering::SeqCst);
            // When the node shuts down, the other subscribers still get the message.
            if wait? != WaitResult::Ready {
                break;
            }
        }
    }
    Ok(socket.send(parts)?)
}
