//! The sockets of one subscriber: one for each publisher of its topic, because a header does not name its
//! publisher.

use std::sync::Arc;
use std::time::Instant;

use crate::log::ErrorChain;
use crate::transport::{
    Context, Interrupt, Multipart, SocketError, SubscriberOptions, SubscriberSocket, Transport,
    WaitResult, wait_any,
};
#[cfg(feature = "tokio")]
use crate::transport::{Readiness, poll_any_changed};
use crate::wire::{Header, SequenceTracker, Step};

/// The most publishers of one topic that one subscriber connects to: the daemon returns what was
/// registered, and each costs a socket.
pub(super) const MAX_CONNECTIONS: usize = 256;

/// The connections of a subscriber to the publishers of its topic.
pub(super) struct Connections {
    context: Context,
    options: SubscriberOptions,
    topic: Arc<str>,
    /// Never empty: the first exists before any publisher does.
    connections: Vec<Connection>,
    /// Index of the connection that received the last message.
    current: usize,
}

struct Connection {
    // Dropped before the socket, whose descriptor it watches.
    #[cfg(feature = "tokio")]
    readiness: Option<Readiness>,
    socket: Box<dyn SubscriberSocket>,
    transport: Transport,
    address: Option<String>,
    tracker: SequenceTracker,
}

impl Connections {
    /// One socket without a connection.
    ///
    /// # Errors
    /// When no socket is left.
    pub(super) fn new(
        context: &Context,
        options: SubscriberOptions,
        topic: Arc<str>,
    ) -> Result<Self, SocketError> {
        let first = Connection::open(Transport::DEFAULT, context, &options, &topic)?;
        let connections = vec![first];
        Ok(Self { context: context.clone(), options, topic, connections, current: 0 })
    }

    /// Whether every one of these addresses is connected.
    pub(super) fn connected_to_all(&self, addresses: &[&str]) -> bool {
        addresses.iter().all(|address| self.is_connected(address))
    }

    fn is_connected(&self, address: &str) -> bool {
        self.connections.iter().any(|connection| connection.is_to(address))
    }

    /// Connects to each of these addresses that is not connected yet.
    ///
    /// A connection to another address stays, and may still deliver what was under way, until a new
    /// publisher takes its place: there are never more sockets than there were publishers at a time.
    ///
    /// # Errors
    /// When the context ends, or no socket is left.
    pub(super) fn follow(&mut self, addresses: &[&str]) -> Result<(), SocketError> {
        for address in addresses {
            if self.is_connected(address) {
                continue;
            }
            let is_unused = |connection: &Connection| {
                connection.address.as_deref().is_none_or(|address| !addresses.contains(&address))
            };
            let index = match self.connections.iter().position(is_unused) {
                Some(index) => index,
                None if self.connections.len() >= MAX_CONNECTIONS => {
                    tracing::error!(topic = %self.topic, address, "too many publishers");
                    continue;
                }
                None => {
                    let transport = self.context.transport(address);
                    let connection =
                        Connection::open(transport, &self.context, &self.options, &self.topic)?;
                    self.connections.push(connection);
                    self.connections.len().saturating_sub(1)
                }
            };
            if let Some(connection) = self.connections.get_mut(index) {
                connection.connect(&self.context, &self.options, &self.topic, address)?;
            }
        }
        Ok(())
    }

    /// Receives a message without blocking, from each publisher in turn. False: there is none, and
    /// `message` is empty.
    ///
    /// # Errors
    /// When a socket fails.
    pub(super) fn try_recv(&mut self, message: &mut Multipart) -> Result<bool, SocketError> {
        if let [only] = &mut *self.connections {
            return only.socket.try_recv(message);
        }
        let count = self.connections.len();
        for _ in 0..count {
            let next = self.current.saturating_add(1);
            self.current = if next < count { next } else { 0 };
            if let Some(connection) = self.connections.get_mut(self.current)
                && connection.socket.try_recv(message)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Receives a message, blocking until `deadline`, or without limit for `None`; `message` is empty
    /// unless the result is `Ready`.
    ///
    /// # Errors
    /// When a socket fails.
    pub(super) fn recv_until(
        &mut self,
        message: &mut Multipart,
        deadline: Option<Instant>,
        interrupt: &Interrupt,
    ) -> Result<WaitResult, SocketError> {
        if let [only] = &mut *self.connections {
            return only.socket.recv_until(message, deadline, Some(interrupt));
        }
        loop {
            // First, so that a flood does not hide an interrupt.
            if interrupt.is_woken() {
                message.clear();
                return Ok(WaitResult::Interrupted);
            }
            if self.try_recv(message)? {
                return Ok(WaitResult::Ready);
            }
            let events: Vec<_> =
                self.connections.iter().map(|connection| connection.socket.events()).collect();
            let wait = wait_any(events.iter(), deadline, Some(interrupt))?;
            if wait != WaitResult::Ready {
                return Ok(wait);
            }
        }
    }

    /// Ready if something changed at a socket since the last call; otherwise the next change wakes the task.
    /// [`try_recv`](Self::try_recv) must have found nothing before.
    ///
    /// # Errors
    /// When the runtime shuts down.
    #[cfg(feature = "tokio")]
    pub(super) fn poll_changed(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), SocketError>> {
        for connection in self.connections.iter_mut().filter(|one| one.readiness.is_none()) {
            connection.readiness = Some(Readiness::new(connection.socket.events())?);
        }
        poll_any_changed(self.connections.iter().filter_map(|one| one.readiness.as_ref()), context)
    }

    /// Compares the last message with the previous one of the same publisher.
    pub(super) fn step(&mut self, header: &Header) -> Step {
        match self.connections.get_mut(self.current) {
            Some(connection) => connection.tracker.step(header),
            None => Step::Next,
        }
    }

    /// Records that the last message is rejected.
    pub(super) fn record_rejected(&mut self, header: &Header) {
        if let Some(connection) = self.connections.get_mut(self.current) {
            connection.tracker.record_rejected(header);
        }
    }
}

impl Connection {
    fn open(
        transport: Transport,
        context: &Context,
        options: &SubscriberOptions,
        topic: &str,
    ) -> Result<Self, SocketError> {
        let mut socket = transport.subscriber(context, options)?;
        socket.subscribe(topic.as_bytes())?;
        Ok(Self {
            #[cfg(feature = "tokio")]
            readiness: None,
            socket,
            transport,
            address: None,
            tracker: SequenceTracker::default(),
        })
    }

    fn is_to(&self, address: &str) -> bool {
        self.address.as_deref() == Some(address)
    }

    /// Connects to `address` instead of the current one.
    fn connect(
        &mut self,
        context: &Context,
        options: &SubscriberOptions,
        topic: &str,
        address: &str,
    ) -> Result<(), SocketError> {
        if let Some(old) = self.address.take() {
            if let Err(error) = self.socket.disconnect(&old) {
                tracing::debug!(topic, error = %ErrorChain(&error), "cannot disconnect");
            }
            self.tracker.moved();
        }
        let transport = context.transport(address);
        if transport != self.transport {
            let tracker = std::mem::take(&mut self.tracker);
            *self = Self { tracker, ..Self::open(transport, context, options, topic)? };
        }
        tracing::debug!(topic, address, "connects");
        match self.socket.connect(address) {
            Ok(()) => {}
            Err(error) if error.is_terminated() => return Err(error),
            // The daemon returns what was registered; another address is tried when it changes.
            Err(error) => tracing::error!(topic, error = %ErrorChain(&error), "cannot connect"),
        }
        self.address = Some(address.to_owned());
        Ok(())
    }
}
