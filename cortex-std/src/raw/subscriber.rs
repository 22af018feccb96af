//! Receiving frames by prefix.

use std::fmt;
use std::time::{Duration, Instant};

use super::RawMessage;
use crate::error::{CreateError, ReceiveError};
use crate::socket::context::Context;
use crate::socket::error::SocketError;
use crate::socket::interrupt::Wait;
use crate::socket::multipart::Multipart;
#[cfg(feature = "tokio")]
use crate::socket::readable::Readiness;
use crate::socket::sub::{SubOptions, SubSocket};
use crate::stop::StopToken;

/// Receives every message whose first frame begins with one of its prefixes, from any number of
/// addresses, and connects again by itself.
///
/// Prefixes are ZeroMQ's: `/cam` also gets `/camera`. Up to 1000 messages wait; then the publisher's
/// queue fills, and then it drops.
pub struct RawSubscriber {
    // Dropped before the socket, whose descriptor it watches.
    #[cfg(feature = "tokio")]
    readiness: Option<Readiness>,
    socket: SubSocket,
}

impl RawSubscriber {
    /// A subscriber that is connected to `address`, now or as soon as somebody listens there, and
    /// asks for nothing yet.
    ///
    /// # Errors
    ///
    /// When libzmq refuses the address or has no socket left.
    pub fn connect(address: &str) -> Result<Self, CreateError> {
        let mut subscriber = Self::with_queue(SubOptions::default().high_water_mark)?;
        subscriber.connect_also(address)?;
        Ok(subscriber)
    }

    /// A subscriber that is connected to nobody, and for which libzmq keeps so many messages at
    /// most; 0 is no limit.
    ///
    /// # Errors
    ///
    /// When libzmq has no socket left.
    pub fn with_queue(messages: i32) -> Result<Self, CreateError> {
        let options = SubOptions { high_water_mark: messages, ..SubOptions::default() };
        Ok(Self {
            #[cfg(feature = "tokio")]
            readiness: None,
            socket: SubSocket::new(&Context::shared()?, &options)?,
        })
    }

    /// Connects to one more publisher.
    ///
    /// # Errors
    ///
    /// When libzmq refuses the address. That nobody listens there is no error.
    pub fn connect_also(&mut self, address: &str) -> Result<(), SocketError> {
        self.socket.connect(address)
    }

    /// Leaves a publisher; what it sent already is lost.
    ///
    /// # Errors
    ///
    /// When it was not connected there.
    pub fn disconnect(&mut self, address: &str) -> Result<(), SocketError> {
        self.socket.disconnect(address)
    }

    /// Asks for messages whose first frame begins with `prefix`; the empty one asks for all.
    ///
    /// # Errors
    ///
    /// When libzmq refuses.
    pub fn subscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        self.socket.subscribe(prefix)
    }

    /// Takes one [`subscribe`](Self::subscribe) back.
    ///
    /// # Errors
    ///
    /// When libzmq refuses.
    pub fn unsubscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        self.socket.unsubscribe(prefix)
    }

    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// When libzmq refuses.
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
        // Who does nothing but receive must not starve the others under a flood.
        tokio::task::coop::consume_budget().await;
        let mut multipart = Multipart::default();
        while !self.socket.try_recv(&mut multipart)? {
            let readiness = match &mut self.readiness {
                Some(readiness) => readiness,
                empty => empty.insert(Readiness::of_sub(&self.socket)?),
            };
            readiness.changed().await?;
        }
        Ok(RawMessage::new(multipart))
    }

    /// Waits for the next message on this thread; `None`: none came in time.
    ///
    /// # Errors
    ///
    /// When libzmq refuses.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<RawMessage>, ReceiveError> {
        self.recv_until(Instant::now().checked_add(timeout), None)
    }

    /// Waits for the next message on this thread; `None`: `stop` was stopped.
    ///
    /// # Errors
    ///
    /// When libzmq refuses.
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
            Wait::Ready => Ok(Some(RawMessage::new(multipart))),
            Wait::TimedOut | Wait::Interrupted => Ok(None),
        }
    }
}

impl fmt::Debug for RawSubscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSubscriber").field("socket", &self.socket).finish_non_exhaustive()
    }
}
