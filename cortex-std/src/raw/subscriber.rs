//! Receiving frames by prefix.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::message::RawMessage;
use crate::error::{CreateError, ReceiveError};
use crate::stop::StopToken;
#[cfg(feature = "tokio")]
use crate::transport::Readiness;
use crate::transport::{
    Context, Multipart, SocketError, SubscriberOptions, SubscriberSocket, Transport, WaitResult,
};

/// Receives every message whose first frame begins with one of its prefixes, from any number of
/// addresses, and reconnects on its own.
///
/// Prefixes are ZeroMQ's: `/cam` also matches `/camera`. Up to 10 messages and 256 MiB wait here; then the
/// publisher's queue fills, and then the publisher drops messages.
pub struct RawSubscriber {
    // Dropped before the socket, whose descriptor it watches.
    #[cfg(feature = "tokio")]
    readiness: Option<Readiness>,
    socket: Box<dyn SubscriberSocket>,
    reconnected: Arc<AtomicU64>,
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
        Ok(Self {
            #[cfg(feature = "tokio")]
            readiness: None,
            socket: Transport::DEFAULT.subscriber(&Context::shared()?, &options)?,
            reconnected: options.reconnected,
        })
    }

    /// Connects to one more publisher.
    ///
    /// # Errors
    ///
    /// When the address is invalid. An absent publisher is no error.
    pub fn connect_also(&mut self, address: &str) -> Result<(), SocketError> {
        self.socket.connect(address)
    }

    /// Disconnects from a publisher; its queued messages are lost.
    ///
    /// # Errors
    ///
    /// Without a connection to that address.
    pub fn disconnect(&mut self, address: &str) -> Result<(), SocketError> {
        self.socket.disconnect(address)
    }

    /// Subscribes to messages whose first frame begins with `prefix`; an empty one matches all.
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn subscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        self.socket.subscribe(prefix)
    }

    /// Reverts one [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    ///
    /// When the socket fails.
    pub fn unsubscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        self.socket.unsubscribe(prefix)
    }

    /// The number of connections over tcp that broke and were made again; messages that were under way are
    /// lost.
    #[must_use]
    pub fn reconnected(&self) -> u64 {
        self.reconnected.load(Ordering::Relaxed)
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
        while !self.socket.try_recv(&mut multipart)? {
            let readiness = match &mut self.readiness {
                Some(readiness) => readiness,
                empty => empty.insert(Readiness::new(self.socket.events())?),
            };
            readiness.changed().await?;
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
        match self.socket.recv_until(&mut multipart, deadline, interrupt)? {
            WaitResult::Ready => Ok(Some(RawMessage::new(multipart))),
            WaitResult::TimedOut | WaitResult::Interrupted => Ok(None),
        }
    }
}

impl fmt::Debug for RawSubscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSubscriber").field("socket", &self.socket).finish_non_exhaustive()
    }
}
