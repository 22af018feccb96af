//! Receiving frames by prefix.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::message::RawMessage;
use crate::error::{CreateError, ReceiveError};
use crate::stop::StopToken;
use crate::transport::{
    Context, Interrupt, Multipart, SocketError, SubscriberOptions, SubscriberSocket, Transport,
    WaitResult, wait_any,
};
#[cfg(feature = "tokio")]
use crate::transport::{Readiness, poll_any_changed};

/// Receives every message whose first frame begins with one of its prefixes, from any number of
/// addresses, and reconnects on its own.
///
/// Prefixes are ZeroMQ's: `/cam` also matches `/camera`. Up to 10 messages and 256 MiB wait here; then the
/// publisher's queue fills, and then the publisher drops messages.
pub struct RawSubscriber {
    context: Context,
    options: SubscriberOptions,
    prefixes: Vec<Vec<u8>>,
    /// One for each transport that carries a connection.
    sockets: Vec<Socket>,
    /// Index of the socket to receive from first.
    next: usize,
}

struct Socket {
    // Dropped before the socket, whose descriptor it watches.
    #[cfg(feature = "tokio")]
    readiness: Option<Readiness>,
    transport: Transport,
    socket: Box<dyn SubscriberSocket>,
}

impl RawSubscriber {
    /// A subscriber that connects to `address`, now or as soon as a publisher listens there, without a
    /// subscription.
    ///
    /// # Errors
    ///
    /// When the address is invalid, or no socket is left.
    pub fn connect(address: &str) -> Result<Self, CreateError> {
        let mut subscriber = Self::with_queue(SubscriberOptions::default().high_water_mark)?;
        subscriber.connect_also(address)?;
        Ok(subscriber)
    }

    /// A subscriber without a connection, with a queue of `messages` for each publisher; 0 is no limit.
    ///
    /// # Errors
    ///
    /// When no socket is left.
    pub fn with_queue(messages: i32) -> Result<Self, CreateError> {
        let options =
            SubscriberOptions { high_water_mark: messages, ..SubscriberOptions::default() };
        let (prefixes, sockets) = (Vec::new(), Vec::new());
        Ok(Self { context: Context::shared()?, options, prefixes, sockets, next: 0 })
    }

    /// Chooses what carries the messages of connections to ipc addresses made from now on, instead of
    /// `CORTEX_TRANSPORT`.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.context = self.context.with_transport(Some(transport));
        self
    }

    /// Connects to one more publisher.
    ///
    /// # Errors
    ///
    /// When the address is invalid. An absent publisher is no error.
    pub fn connect_also(&mut self, address: &str) -> Result<(), SocketError> {
        let transport = self.context.transport(address);
        if let Some(used) = self.sockets.iter_mut().find(|used| used.transport == transport) {
            return used.socket.connect(address);
        }
        let mut socket = transport.subscriber(&self.context, &self.options)?;
        self.prefixes.iter().try_for_each(|prefix| socket.subscribe(prefix))?;
        socket.connect(address)?;
        self.sockets.push(Socket {
            #[cfg(feature = "tokio")]
            readiness: None,
            transport,
            socket,
        });
        Ok(())
    }

    /// Disconnects from a publisher; its queued messages are lost.
    ///
    /// # Errors
    ///
    /// Without a connection to that address.
    pub fn disconnect(&mut self, address: &str) -> Result<(), SocketError> {
        let mut result = Err(SocketError::not_found("disconnect from", address));
        for used in &mut self.sockets {
            result = used.socket.disconnect(address);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Subscribes to messages whose first frame begins with `prefix`; an empty one matches all.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn subscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        self.prefixes.push(prefix.to_vec());
        self.sockets.iter_mut().try_for_each(|used| used.socket.subscribe(prefix))
    }

    /// Reverts one [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn unsubscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        if let Some(index) = self.prefixes.iter().position(|other| other == prefix) {
            self.prefixes.swap_remove(index);
        }
        self.sockets.iter_mut().try_for_each(|used| used.socket.unsubscribe(prefix))
    }

    /// The number of connections over tcp that broke and were made again; messages that were under way are
    /// lost.
    #[must_use]
    pub fn reconnected(&self) -> u64 {
        self.options.reconnected.load(Ordering::Relaxed)
    }

    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    ///
    /// # Cancel safety
    ///
    /// No message is lost.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O enabled.
    #[cfg(feature = "tokio")]
    pub async fn recv(&mut self) -> Result<RawMessage, ReceiveError> {
        // A task that only receives must not starve the others under a flood.
        tokio::task::coop::consume_budget().await;
        let mut multipart = Multipart::default();
        while !self.try_recv(&mut multipart)? {
            for used in self.sockets.iter_mut().filter(|used| used.readiness.is_none()) {
                used.readiness = Some(Readiness::new(used.socket.events())?);
            }
            let sockets = &self.sockets;
            std::future::poll_fn(|context| {
                poll_any_changed(sockets.iter().filter_map(|used| used.readiness.as_ref()), context)
            })
            .await?;
        }
        Ok(RawMessage::new(multipart))
    }

    /// Blocks until the next message; `None` after `timeout`.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<RawMessage>, ReceiveError> {
        self.recv_until(Instant::now().checked_add(timeout), None)
    }

    /// Blocks until the next message; `None` once `stop` is stopped.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn recv_unless(&mut self, stop: &StopToken) -> Result<Option<RawMessage>, ReceiveError> {
        self.recv_until(None, Some(stop))
    }

    fn recv_until(
        &mut self,
        deadline: Option<Instant>,
        stop: Option<&StopToken>,
    ) -> Result<Option<RawMessage>, ReceiveError> {
        let mut multipart = Multipart::default();
        let interrupt = stop.map(|stop| &stop.interrupt);
        let wait = match &mut *self.sockets {
            [only] => only.socket.recv_until(&mut multipart, deadline, interrupt)?,
            _ => self.recv_from_several(&mut multipart, deadline, interrupt)?,
        };
        match wait {
            WaitResult::Ready => Ok(Some(RawMessage::new(multipart))),
            WaitResult::TimedOut | WaitResult::Interrupted => Ok(None),
        }
    }

    /// Receives a message without blocking, from each socket in turn.
    fn try_recv(&mut self, multipart: &mut Multipart) -> Result<bool, SocketError> {
        for _ in 0..self.sockets.len() {
            let next = self.next.saturating_add(1);
            self.next = if next < self.sockets.len() { next } else { 0 };
            if let Some(used) = self.sockets.get_mut(self.next)
                && used.socket.try_recv(multipart)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn recv_from_several(
        &mut self,
        multipart: &mut Multipart,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError> {
        loop {
            // First, so that a flood does not hide an interrupt.
            if interrupt.is_some_and(Interrupt::is_woken) {
                return Ok(WaitResult::Interrupted);
            }
            if self.try_recv(multipart)? {
                return Ok(WaitResult::Ready);
            }
            let events: Vec<_> = self.sockets.iter().map(|used| used.socket.events()).collect();
            let wait = wait_any(events.iter(), deadline, interrupt)?;
            if wait != WaitResult::Ready {
                return Ok(wait);
            }
        }
    }
}

impl fmt::Debug for RawSubscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSubscriber")
            .field("sockets", &self.sockets.len())
            .finish_non_exhaustive()
    }
}
