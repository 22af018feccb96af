//! The sockets of one subscriber: one for each publisher of its topic, because a header does not name
//! its publisher.

use std::sync::Arc;
use std::time::Instant;

use crate::sequence::{SequenceTracker, Step};
use crate::socket::context::Context;
use crate::socket::error::SocketError;
use crate::socket::interrupt::{Interrupt, Wait};
use crate::socket::multipart::Multipart;
#[cfg(feature = "tokio")]
use crate::socket::readable::Readiness;
use crate::socket::sub::{SubOptions, SubSocket, wait_any};
use crate::wire::Header;

/// Publishers of one topic that one subscriber connects to: the daemon hands out whatever was
/// registered, and each costs a socket.
pub(crate) const MAX_LINKS: usize = 256;

/// What a subscriber is connected to.
pub(crate) struct Links {
    context: Context,
    options: SubOptions,
    topic: Arc<str>,
    /// Never empty: the first is there before any publisher is.
    links: Vec<Link>,
    /// Where the last message came from.
    current: usize,
}

struct Link {
    // Dropped before the socket, whose descriptor it watches.
    #[cfg(feature = "tokio")]
    readiness: Option<Readiness>,
    socket: SubSocket,
    address: Option<String>,
    tracker: SequenceTracker,
}

impl Links {
    /// One socket, connected to nobody.
    pub(crate) fn new(
        context: &Context,
        options: SubOptions,
        topic: Arc<str>,
    ) -> Result<Self, SocketError> {
        let first = Link::open(context, &options, &topic)?;
        Ok(Self { context: context.clone(), options, topic, links: vec![first], current: 0 })
    }

    /// Whether every one of these addresses is connected.
    pub(crate) fn are_at(&self, addresses: &[&str]) -> bool {
        addresses.iter().all(|address| self.links.iter().any(|link| link.is_at(address)))
    }

    /// Connects to each of these addresses that is not connected yet.
    ///
    /// What is connected elsewhere stays so, and may still bring what was under way, until a newcomer
    /// takes its place; so there are never more sockets than there were publishers at a time.
    ///
    /// # Errors
    /// When the context ends, or no socket is left.
    pub(crate) fn follow(&mut self, addresses: &[&str]) -> Result<(), SocketError> {
        for address in addresses {
            if self.links.iter().any(|link| link.is_at(address)) {
                continue;
            }
            let is_idle = |link: &Link| {
                link.address.as_deref().is_none_or(|address| !addresses.contains(&address))
            };
            let place = match self.links.iter().position(is_idle) {
                Some(place) => place,
                None if self.links.len() >= MAX_LINKS => {
                    tracing::error!(topic = %self.topic, address, "too many publishers");
                    continue;
                }
                None => {
                    self.links.push(Link::open(&self.context, &self.options, &self.topic)?);
                    self.links.len().saturating_sub(1)
                }
            };
            if let Some(link) = self.links.get_mut(place) {
                link.connect(&self.topic, address)?;
            }
        }
        Ok(())
    }

    /// Receives a message if one is there, from each publisher in turn. False: there is none, and
    /// `message` is empty.
    pub(crate) fn try_recv(&mut self, message: &mut Multipart) -> Result<bool, SocketError> {
        if let [only] = &mut *self.links {
            return only.socket.try_recv(message);
        }
        let count = self.links.len();
        for _ in 0..count {
            let next = self.current.saturating_add(1);
            self.current = if next < count { next } else { 0 };
            if let Some(link) = self.links.get_mut(self.current)
                && link.socket.try_recv(message)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits for a message until `deadline`, for ever if there is none; `message` is empty unless it
    /// is `Ready`.
    pub(crate) fn recv_until(
        &mut self,
        message: &mut Multipart,
        deadline: Option<Instant>,
        interrupt: &Interrupt,
    ) -> Result<Wait, SocketError> {
        if let [only] = &mut *self.links {
            return only.socket.recv_until(message, deadline, Some(interrupt));
        }
        loop {
            // First, so that a flood does not hide a wake.
            if interrupt.is_woken() {
                message.clear();
                return Ok(Wait::Interrupted);
            }
            if self.try_recv(message)? {
                return Ok(Wait::Ready);
            }
            let sockets = self.links.iter().map(|link| &link.socket);
            let wait = wait_any(sockets, deadline, interrupt)?;
            if wait != Wait::Ready {
                return Ok(wait);
            }
        }
    }

    /// Waits until something happened at any socket; returns at once if it did since the last call.
    /// Before, [`try_recv`](Self::try_recv) must have had nothing more.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    #[cfg(feature = "tokio")]
    pub(crate) async fn changed(&mut self) -> Result<(), SocketError> {
        use std::task::Poll;

        for link in self.links.iter_mut().filter(|link| link.readiness.is_none()) {
            link.readiness = Some(Readiness::of_sub(&link.socket)?);
        }
        let readiness = || self.links.iter().filter_map(|link| link.readiness.as_ref());
        std::future::poll_fn(|context| {
            let mut changed = Poll::Pending;
            // All of them: each one that is pending is to wake this task.
            for readiness in readiness() {
                if let Poll::Ready(result) = readiness.poll_changed(context) {
                    result?;
                    changed = Poll::Ready(Ok(()));
                }
            }
            changed
        })
        .await
    }

    /// Compares the message that came last with the one before of the same publisher.
    pub(crate) fn step(&mut self, header: &Header) -> Step {
        match self.links.get_mut(self.current) {
            Some(link) => link.tracker.step(header),
            None => Step::Next,
        }
    }

    /// The message that came last is not delivered.
    pub(crate) fn pass_over(&mut self, header: &Header) {
        if let Some(link) = self.links.get_mut(self.current) {
            link.tracker.pass_over(header);
        }
    }
}

impl Link {
    fn open(context: &Context, options: &SubOptions, topic: &str) -> Result<Self, SocketError> {
        let mut socket = SubSocket::new(context, options)?;
        socket.subscribe(topic.as_bytes())?;
        Ok(Self {
            #[cfg(feature = "tokio")]
            readiness: None,
            socket,
            address: None,
            tracker: SequenceTracker::default(),
        })
    }

    fn is_at(&self, address: &str) -> bool {
        self.address.as_deref() == Some(address)
    }

    /// Leaves where it was for `address`.
    fn connect(&mut self, topic: &str, address: &str) -> Result<(), SocketError> {
        if let Some(old) = self.address.take() {
            if let Err(error) = self.socket.disconnect(&old) {
                tracing::debug!(topic, %error, "cannot disconnect");
            }
            self.tracker.moved();
        }
        tracing::debug!(topic, address, "connects");
        match self.socket.connect(address) {
            Ok(()) => {}
            Err(error) if error.is_terminated() => return Err(error),
            // The daemon hands out what somebody registered; it is tried again when it changes.
            Err(error) => tracing::error!(topic, %error, "cannot connect"),
        }
        self.address = Some(address.to_owned());
        Ok(())
    }
}
