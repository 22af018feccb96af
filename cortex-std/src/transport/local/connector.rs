//! The connections of a subscriber up to the end of their handshakes, and their reconnection.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    shutdown, socket_with,
};

use super::hub::{EventFlags, Handler, Hub, Registration};
use super::inbound::{Event, Inbound, QUEUE_PROPERTY};
use super::peer::send;
use crate::mutex::Mutex;
use crate::transport::error::SocketError;
use crate::transport::interrupt::Interrupt;
use crate::transport::socket::SubscriberOptions;
use crate::wire::zmtp::{Greeting, subscription_head, write_ready};

/// The socket types that publish.
const PUBLISHERS: &[&[u8]] = &[b"PUB", b"XPUB"];
/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that lived this long is made again after the first pause.
const STABLE: Duration = Duration::from_secs(1);
/// Bytes of one read.
const READ_LEN: usize = 4096;

/// A connection whose handshake is complete.
pub(super) struct Handed {
    /// Of the connector.
    pub(super) key: u64,
    pub(super) descriptor: Arc<OwnedFd>,
    /// Bytes that were received behind the handshake.
    pub(super) received: Vec<u8>,
}

/// What the subscriber and the event thread share.
pub(super) struct Connectors {
    hub: Hub,
    /// The same connectors, for the event thread.
    this: Weak<Connectors>,
    window: Option<u32>,
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
    Greeting {
        descriptor: Arc<OwnedFd>,
        _registration: Registration,
        inbound: Inbound,
        minor: u8,
        deadline: Instant,
    },
    /// The subscriber reads the connection; the event thread waits for its end.
    Live { descriptor: Arc<OwnedFd>, _registration: Registration, minor: u8, since: Instant },
}

impl Connectors {
    /// # Errors
    /// When no descriptor is left.
    pub(super) fn new(hub: &Hub, options: &SubscriberOptions) -> Result<Arc<Self>, SocketError> {
        let wake = Interrupt::new()?;
        Ok(Arc::new_cyclic(|this| Self {
            hub: hub.clone(),
            this: this.clone(),
            window: options.window,
            reconnect: options.reconnect,
            reconnect_max: options.reconnect_max,
            reconnected: Arc::clone(&options.reconnected),
            state: Mutex::new(State {
                prefixes: Vec::new(),
                connectors: Vec::new(),
                next_key: 0,
                handed: VecDeque::new(),
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
        for connector in &state.connectors {
            if let Phase::Live { descriptor, minor, .. } = &connector.phase
                && !write_subscription(descriptor, *minor, prefix, subscribe)
            {
                // Made again, with all subscriptions.
                let _ = shutdown(descriptor, Shutdown::Both);
            }
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
        if !write_all(&descriptor, &Greeting::BYTES) {
            return Err(failed(Errno::PIPE));
        }
        let Some(this) = self.this.upgrade() else { return Err(failed(Errno::CANCELED)) };
        let flags = EventFlags::IN | EventFlags::RDHUP;
        let registration = self.hub.watch(&descriptor, flags, this, connector.key)?;
        let deadline = now + HANDSHAKE_TIMEOUT;
        self.wake_at(deadline);
        Ok(Phase::Greeting {
            descriptor,
            _registration: registration,
            inbound: Inbound::new(PUBLISHERS, 0),
            minor: 0,
            deadline,
        })
    }

    fn retry(&self, connector: &mut Connector, now: Instant) {
        let at = now + connector.pause;
        connector.pause = (connector.pause * 2).min(self.reconnect_max);
        connector.phase = Phase::Waiting { at };
        self.wake_at(at);
    }

    fn wake_at(&self, at: Instant) {
        let handler: Weak<dyn Handler> = self.this.clone();
        self.hub.wake_at(handler, at);
    }

    /// Processes what a publisher sent in the handshake; true when it is complete.
    fn greet(&self, state: &mut State, index: usize) -> Result<bool, ()> {
        let State { prefixes, connectors, handed, .. } = state;
        let Some(connector) = connectors.get_mut(index) else { return Err(()) };
        let Phase::Greeting { descriptor, inbound, minor, .. } = &mut connector.phase else {
            return Err(());
        };
        let mut bytes = [0_u8; READ_LEN];
        loop {
            let count = match recv(&*descriptor, &mut bytes[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Err(()),
                Ok((count, _)) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) => return Ok(false),
                Err(_) => return Err(()),
            };
            let mut input = bytes.get(..count).unwrap_or_default();
            while !input.is_empty() {
                match inbound.receive(&mut input) {
                    Ok(None) => {}
                    Ok(Some(Event::Greeted(peer))) => {
                        *minor = peer;
                        let mut ready = Vec::new();
                        let window = self.window.map(|window| window.to_string());
                        let mut properties = vec![("Socket-Type", &b"SUB"[..])];
                        if let Some(window) = &window {
                            properties.push((QUEUE_PROPERTY, window.as_bytes()));
                        }
                        write_ready(&properties, |part| ready.extend_from_slice(part));
                        if !write_all(descriptor, &ready) {
                            return Err(());
                        }
                    }
                    Ok(Some(Event::Ready(_))) => {
                        let subscribed = prefixes
                            .iter()
                            .all(|prefix| write_subscription(descriptor, *minor, prefix, true));
                        if !subscribed {
                            return Err(());
                        }
                        handed.push_back(Handed {
                            key: connector.key,
                            descriptor: Arc::clone(descriptor),
                            received: input.to_vec(),
                        });
                        return Ok(true);
                    }
                    Ok(Some(_)) => {}
                    Err(kind) => {
                        let address = &connector.address;
                        tracing::warn!(address, %kind, "the handshake with a publisher failed");
                        return Err(());
                    }
                }
            }
        }
    }
}

impl Handler for Connectors {
    fn ready(&self, key: u64, flags: EventFlags) {
        let mut state = self.state.lock();
        let now = Instant::now();
        let index = state.connectors.iter().position(|connector| connector.key == key);
        let Some(index) = index else { return };
        let greeted = match state.connectors.get(index).map(|connector| &connector.phase) {
            Some(Phase::Greeting { .. }) => self.greet(&mut state, index),
            Some(Phase::Live { .. }) if flags.intersects(ENDS) => Err(()),
            _ => return,
        };
        let Some(connector) = state.connectors.get_mut(index) else { return };
        match greeted {
            Ok(false) => {}
            Ok(true) => {
                let Phase::Greeting { descriptor, minor, .. } = &connector.phase else { return };
                let (descriptor, minor) = (Arc::clone(descriptor), *minor);
                if std::mem::replace(&mut connector.was_live, true) {
                    self.reconnected.fetch_add(1, Ordering::Relaxed);
                }
                // The old registration of the descriptor ends before the new one.
                connector.phase = Phase::Waiting { at: now };
                let Some(this) = self.this.upgrade() else { return };
                match self.hub.watch(&descriptor, EventFlags::RDHUP, this, key) {
                    Ok(registration) => {
                        connector.phase = Phase::Live {
                            descriptor,
                            _registration: registration,
                            minor,
                            since: now,
                        };
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot watch a connection to a publisher");
                        self.retry(connector, now);
                    }
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
    }
}

/// The events of a connection that has ended.
const ENDS: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

fn name(address: &str) -> Result<SocketAddrUnix, SocketError> {
    let path = address.strip_prefix("ipc://").unwrap_or_default();
    SocketAddrUnix::new(path)
        .map_err(|errno| SocketError::from_errno(errno.raw_os_error(), "connect to", Some(address)))
}

/// Writes bytes that the kernel's buffer holds easily; false if it does not.
pub(super) fn write_all(descriptor: &Arc<OwnedFd>, bytes: &[u8]) -> bool {
    loop {
        match send(descriptor, &[IoSlice::new(bytes)]) {
            Err(Errno::INTR) => {}
            sent => return sent == Ok(bytes.len()),
        }
    }
}

fn write_subscription(
    descriptor: &Arc<OwnedFd>,
    minor: u8,
    prefix: &[u8],
    subscribe: bool,
) -> bool {
    let head = subscription_head(minor, prefix.len(), subscribe);
    write_all(descriptor, &[&head, prefix].concat())
}
