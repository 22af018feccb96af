//! The connections of a subscriber up to the end of their handshakes, and their reconnection.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, connect, shutdown,
    socket_with,
};

use super::backlog::Backlog;
use super::handshake::{Handshake, HandshakeError, Introduction, push_subscription};
use super::hub::{EventFlags, Handler, Hub, Registration};
use super::sharing::Sharing;
use super::stream::Stream;
use crate::mutex::Mutex;
use crate::transport::error::SocketError;
use crate::transport::interrupt::Interrupt;
use crate::transport::socket::SubscriberOptions;
use crate::wire::zmtp::pong_head;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that lived this long is made again after the first pause.
const STABLE: Duration = Duration::from_secs(1);
/// A publisher that does not read gets no PONG beyond this backlog.
const MAX_PONG_BACKLOG: u64 = 64 * 1024;
/// A publisher that lends and does not read what is returned is disconnected beyond this backlog.
const MAX_RETURN_BACKLOG: u64 = 128 * 1024;

/// A connection whose handshake is complete.
pub(super) struct Handed {
    /// Of the connector.
    pub(super) key: u64,
    pub(super) descriptor: Arc<OwnedFd>,
    /// Bytes that were received behind the handshake.
    pub(super) received: Vec<u8>,
    /// Whether both sides share memory.
    pub(super) shares: bool,
}

/// What the subscriber and the event thread share.
pub(super) struct Connectors {
    hub: Hub,
    /// The same connectors, for the event thread.
    this: Weak<Connectors>,
    window: Option<u32>,
    node: Option<Arc<str>>,
    shares: bool,
    reconnect: Duration,
    reconnect_max: Duration,
    /// Connections to an address that was connected before.
    reconnected: Arc<AtomicU64>,
    state: Mutex<State>,
    /// Readable while connections are handed over.
    pub(super) wake: Interrupt,
    has_handed: AtomicBool,
}

struct State {
    prefixes: Vec<Vec<u8>>,
    connectors: Vec<Connector>,
    next_key: u64,
    handed: VecDeque<Handed>,
    /// When the event thread looks for handshakes that take too long: one time for all of them.
    handshake_due: Option<Instant>,
}

/// A connection to one address, made again whenever it ends.
struct Connector {
    key: u64,
    address: String,
    pause: Duration,
    /// Whether the connection was live before.
    was_live: bool,
    phase: Phase,
}

enum Phase {
    /// Connects again at this time.
    Waiting { at: Instant },
    /// In the handshake.
    Greeting { link: Link, handshake: Handshake, deadline: Instant },
    /// The subscriber reads the connection; the event thread waits for its end.
    Live { link: Link, minor: u8, since: Instant },
}

/// A connection, and what is to be written to it.
struct Link {
    descriptor: Arc<OwnedFd>,
    registration: Registration,
    stream: Stream,
    output: Backlog,
}

impl Link {
    /// The events to watch for once the subscriber reads the connection.
    fn live_flags(&self) -> EventFlags {
        if self.output.is_empty() { LIVE } else { LIVE | EventFlags::OUT }
    }

    /// Writes bytes now or, where something waits, behind that; as [`flush`](Self::flush).
    fn write(&mut self, bytes: &[u8], flags: EventFlags) -> bool {
        let written = match self.output.is_empty() {
            true => self.stream.send(&[IoSlice::new(bytes)]).unwrap_or(0),
            false => 0,
        };
        self.output.push_bytes(bytes.get(written..).unwrap_or_default());
        self.flush(flags)
    }

    /// Writes what waits, and watches for `flags` and, while something is left, for room; false once the
    /// connection ended.
    fn flush(&mut self, flags: EventFlags) -> bool {
        if self.output.is_empty() {
            return true;
        }
        let is_connected = self.output.write(|slices| self.stream.send(slices)).is_ok();
        let writes = if self.output.is_empty() { EventFlags::empty() } else { EventFlags::OUT };
        self.registration.set(flags | writes);
        is_connected
    }
}

impl Connectors {
    /// # Errors
    /// When no descriptor is left.
    pub(super) fn new(
        hub: &Hub,
        options: &SubscriberOptions,
        shares: bool,
    ) -> Result<Arc<Self>, SocketError> {
        let wake = Interrupt::new()?;
        Ok(Arc::new_cyclic(|this| Self {
            hub: hub.clone(),
            this: this.clone(),
            window: options.window,
            node: options.node.clone(),
            shares,
            reconnect: options.reconnect,
            reconnect_max: options.reconnect_max,
            reconnected: Arc::clone(&options.reconnected),
            state: Mutex::new(State {
                prefixes: Vec::new(),
                connectors: Vec::new(),
                next_key: 0,
                handed: VecDeque::new(),
                handshake_due: None,
            }),
            wake,
            has_handed: AtomicBool::new(false),
        }))
    }

    /// Connects to an ipc address, now or as soon as a publisher listens.
    ///
    /// # Errors
    /// When the address is invalid.
    pub(super) fn connect(&self, address: &str) -> Result<(), SocketError> {
        name(address)?;
        let mut state = self.state.lock();
        let key = state.next_key;
        state.next_key = key.wrapping_add(1);
        let phase = Phase::Waiting { at: Instant::now() };
        let mut connector = Connector {
            key,
            address: address.to_owned(),
            pause: self.reconnect,
            was_live: false,
            phase,
        };
        self.attempt(&mut connector, Instant::now());
        state.connectors.push(connector);
        self.await_handshakes(&mut state);
        Ok(())
    }

    /// Ends the connection to an address; returns the connector's key.
    ///
    /// # Errors
    /// `NotFound`.
    pub(super) fn disconnect(&self, address: &str) -> Result<u64, SocketError> {
        let mut state = self.state.lock();
        let index = state.connectors.iter().position(|connector| connector.address == address);
        let Some(index) = index else {
            return Err(SocketError::not_found("disconnect from", address));
        };
        let connector = state.connectors.remove(index);
        state.handed.retain(|handed| handed.key != connector.key);
        Ok(connector.key)
    }

    /// Adds or removes a prefix, at every publisher.
    pub(super) fn subscribe(&self, prefix: &[u8], subscribe: bool) {
        let mut state = self.state.lock();
        if subscribe {
            state.prefixes.push(prefix.to_vec());
        } else {
            let Some(index) = state.prefixes.iter().position(|other| other == prefix) else {
                return;
            };
            state.prefixes.swap_remove(index);
        }
        for connector in &mut state.connectors {
            if let Phase::Live { link, minor, .. } = &mut connector.phase {
                push_subscription(&mut link.output, *minor, prefix, subscribe);
                if !link.flush(LIVE) {
                    // Made again, with all subscriptions.
                    let _ = shutdown(&link.descriptor, Shutdown::Both);
                }
            }
        }
    }

    /// Answers a PING that was received at a connection.
    pub(super) fn pong(&self, key: u64, descriptor: &Arc<OwnedFd>, context: &[u8]) {
        let mut state = self.state.lock();
        let connector = state.connectors.iter_mut().find(|connector| connector.key == key);
        if let Some(Connector { phase: Phase::Live { link, .. }, .. }) = connector
            && Arc::ptr_eq(&link.descriptor, descriptor)
            && link.output.bytes() < MAX_PONG_BACKLOG
        {
            link.output.push_bytes(&pong_head(context.len()));
            link.output.push_bytes(context);
            // The end of the connection is noticed by its reader.
            link.flush(LIVE);
        }
    }

    /// Returns a part that the publisher of a connection has lent.
    pub(super) fn give_back(&self, key: u64, descriptor: &Arc<OwnedFd>, lease: u32) {
        let mut state = self.state.lock();
        let connector = state.connectors.iter_mut().find(|connector| connector.key == key);
        if let Some(Connector { phase: Phase::Live { link, .. }, .. }) = connector
            && Arc::ptr_eq(&link.descriptor, descriptor)
        {
            // An honest publisher lends far less than this.
            if link.output.bytes() >= MAX_RETURN_BACKLOG {
                let _ = shutdown(&link.descriptor, Shutdown::Both);
                return;
            }
            link.write(&Sharing::Return { lease }.encode(), LIVE);
        }
    }

    /// The connections that are handed over since the last call.
    pub(super) fn take_handed(&self) -> VecDeque<Handed> {
        if !self.has_handed.load(Ordering::SeqCst) {
            return VecDeque::new();
        }
        let mut state = self.state.lock();
        self.has_handed.store(false, Ordering::SeqCst);
        self.wake.clear();
        std::mem::take(&mut state.handed)
    }

    /// Ends all connections.
    pub(super) fn close(&self) {
        let connectors = {
            let mut state = self.state.lock();
            state.handed.clear();
            std::mem::take(&mut state.connectors)
        };
        for connector in &connectors {
            if let Phase::Live { link, .. } = &connector.phase {
                // Samples that are kept keep the descriptor open.
                let _ = shutdown(&link.descriptor, Shutdown::Both);
            }
        }
        drop(connectors);
    }

    /// Connects; a failure is followed by a pause that doubles each time.
    fn attempt(&self, connector: &mut Connector, now: Instant) {
        match self.open(connector, now) {
            Ok(phase) => connector.phase = phase,
            Err(error) => {
                tracing::trace!(address = connector.address, %error, "not connected");
                self.retry(connector, now);
            }
        }
    }

    fn open(&self, connector: &Connector, now: Instant) -> Result<Phase, SocketError> {
        let failed = |errno: Errno| {
            let address = Some(&*connector.address);
            SocketError::from_errno(errno.raw_os_error(), "connect to", address)
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let descriptor =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
        connect(&descriptor, &name(&connector.address)?).map_err(failed)?;
        let descriptor = Arc::new(descriptor);
        let Some(this) = self.this.upgrade() else { return Err(failed(Errno::CANCELED)) };
        let registration = self.hub.watch(&descriptor, GREETING, this, connector.key)?;
        let deadline = now + HANDSHAKE_TIMEOUT;
        let stream = Stream::Socket(Arc::clone(&descriptor));
        let mut output = Backlog::default();
        let handshake = Handshake::begin(&mut output);
        let mut link = Link { descriptor, registration, stream, output };
        if !link.flush(GREETING) {
            return Err(failed(Errno::PIPE));
        }
        Ok(Phase::Greeting { link, handshake, deadline })
    }

    fn retry(&self, connector: &mut Connector, now: Instant) {
        let at = now + connector.pause;
        connector.pause = (connector.pause * 2).min(self.reconnect_max);
        connector.phase = Phase::Waiting { at };
        self.wake_at(at);
    }

    /// Wakes the event thread when the oldest handshake takes too long.
    fn await_handshakes(&self, state: &mut State) {
        if state.handshake_due.is_none() {
            let deadlines = state.connectors.iter().filter_map(|one| match one.phase {
                Phase::Greeting { deadline, .. } => Some(deadline),
                _ => None,
            });
            state.handshake_due = deadlines.min().inspect(|due| self.wake_at(*due));
        }
    }

    fn wake_at(&self, at: Instant) {
        let handler: Weak<dyn Handler> = self.this.clone();
        self.hub.wake_at(handler, at);
    }

    /// Processes what a publisher sent in the handshake; true when it is complete.
    fn greet(&self, state: &mut State, index: usize, now: Instant) -> Result<bool, ()> {
        let State { prefixes, connectors, handed, .. } = state;
        let Some(connector) = connectors.get_mut(index) else { return Err(()) };
        let Phase::Greeting { link, handshake, .. } = &mut connector.phase else {
            return Err(());
        };
        let introduction = Introduction {
            window: self.window,
            node: self.node.as_deref(),
            shares: self.shares,
            prefixes,
        };
        let received = handshake.advance(&link.stream, &mut link.output, introduction);
        let received = received.map_err(|error| {
            if let HandshakeError::Protocol(kind) = error {
                let address = &connector.address;
                tracing::warn!(address, %kind, "the handshake with a publisher failed");
            }
        })?;
        let Some(received) = received else {
            return if link.flush(GREETING) { Ok(false) } else { Err(()) };
        };
        if !link.flush(LIVE) {
            return Err(());
        }
        handed.push_back(Handed {
            key: connector.key,
            descriptor: Arc::clone(&link.descriptor),
            received,
            shares: self.shares && handshake.shares,
        });
        let minor = handshake.minor;
        let waiting = Phase::Waiting { at: now };
        if let Phase::Greeting { link, .. } = std::mem::replace(&mut connector.phase, waiting) {
            // From now on the subscriber reads.
            link.registration.set(link.live_flags());
            connector.phase = Phase::Live { link, minor, since: now };
        }
        Ok(true)
    }
}

impl Handler for Connectors {
    fn ready(&self, key: u64, flags: EventFlags) {
        let mut state = self.state.lock();
        let now = Instant::now();
        let index = state.connectors.iter().position(|connector| connector.key == key);
        let Some(index) = index else { return };
        let Some(connector) = state.connectors.get_mut(index) else { return };
        let greeted =
            match &mut connector.phase {
                Phase::Greeting { link, .. } if flags == EventFlags::OUT => {
                    if link.flush(GREETING) { Ok(false) } else { Err(()) }
                }
                Phase::Greeting { .. } => self.greet(&mut state, index, now),
                Phase::Live { .. } if flags.intersects(ENDS) => Err(()),
                Phase::Live { link, .. } => {
                    if link.flush(LIVE) {
                        Ok(false)
                    } else {
                        Err(())
                    }
                }
                Phase::Waiting { .. } => return,
            };
        let Some(connector) = state.connectors.get_mut(index) else { return };
        match greeted {
            Ok(false) => {}
            Ok(true) => {
                if std::mem::replace(&mut connector.was_live, true) {
                    self.reconnected.fetch_add(1, Ordering::Relaxed);
                }
                self.has_handed.store(true, Ordering::SeqCst);
                self.wake.wake();
            }
            Err(()) => {
                if let Phase::Live { since, .. } = &connector.phase
                    && now.saturating_duration_since(*since) >= STABLE
                {
                    connector.pause = self.reconnect;
                }
                self.retry(connector, now);
            }
        }
    }

    fn due(&self, now: Instant) {
        let mut state = self.state.lock();
        for connector in &mut state.connectors {
            match &connector.phase {
                Phase::Waiting { at } if *at <= now => self.attempt(connector, now),
                Phase::Greeting { deadline, .. } if *deadline <= now => self.retry(connector, now),
                _ => {}
            }
        }
        state.handshake_due = state.handshake_due.filter(|due| *due > now);
        self.await_handshakes(&mut state);
    }
}

/// The events of a connection in the handshake, and of one that the subscriber reads.
const GREETING: EventFlags = EventFlags::IN.union(EventFlags::RDHUP);
const LIVE: EventFlags = EventFlags::RDHUP;
/// The events of a connection that has ended.
const ENDS: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

fn name(address: &str) -> Result<SocketAddrUnix, SocketError> {
    let path = address.strip_prefix("ipc://").unwrap_or_default();
    SocketAddrUnix::new(path)
        .map_err(|errno| SocketError::from_errno(errno.raw_os_error(), "connect to", Some(address)))
}
