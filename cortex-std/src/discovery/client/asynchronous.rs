//! The client for tokio.

use std::time::{Duration, Instant};

use super::attempts::Polling;
use super::connection::{self, Connection};
use super::request::{self, TypedRequest};
use super::state::ClientState;
use crate::discovery::error::DiscoveryError;
use crate::discovery::topic::{Found, Topic};
use crate::endpoint::{Endpoint, ipv6_of};
use crate::transport::{Context, Frame, RequestError};
use crate::wire::discovery::RequestExt;

/// A [`Client`](super::Client) whose answers are awaited, for tokio.
///
/// # Cancel safety
///
/// Every future may be dropped at any time: the daemon may have served the request, and the next one uses
/// a new connection.
///
/// # Panics
///
/// Its futures panic outside of a tokio runtime with I/O and time enabled.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use cortex_std::discovery::{AsyncClient, Daemon};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
/// # let _daemon = Daemon::bind(&address)?.spawn()?;
/// let mut client = AsyncClient::connect(&address, Duration::from_secs(1))?;
/// client.ping().await?;
/// for topic in client.list().await? {
///     println!("{} by {}", topic.name, topic.publisher_node);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncClient {
    state: ClientState,
    /// Whether the name of the host was resolved.
    is_resolved: bool,
}

impl AsyncClient {
    /// A client of the daemon at `address`, which need not run yet; `timeout` is for each request.
    ///
    /// # Errors
    ///
    /// When the address is invalid, or no socket is left.
    pub fn connect(address: &str, timeout: Duration) -> Result<Self, DiscoveryError> {
        let state = ClientState::connect(&Context::shared()?, address, timeout)?;
        Ok(Self { state, is_resolved: false })
    }

    /// The daemon's address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.state.address
    }

    /// The epoch of the daemon that answered last; `None` before an answer and for a Python daemon.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.state.epoch
    }

    /// Registers a topic.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` where another node has it; else as [`ping`](Self::ping).
    pub async fn register(&mut self, topic: &Topic, ext: RequestExt) -> Result<(), DiscoveryError> {
        self.perform(&request::register(topic, ext)).await
    }

    /// Unregisters a topic of this node; false where it is unknown or belongs to another node.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub async fn unregister(&mut self, topic: &Topic) -> Result<bool, DiscoveryError> {
        self.perform(&request::unregister(topic)).await
    }

    /// Looks a topic up, with every publisher of a shared one; `None` for an unknown topic.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub async fn look_up(&mut self, name: &str) -> Result<Option<Found>, DiscoveryError> {
        self.perform(&request::look_up(name)).await
    }

    /// All topics, in no particular order.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub async fn list(&mut self) -> Result<Vec<Topic>, DiscoveryError> {
        self.perform(&request::list()).await
    }

    /// Checks whether the daemon answers.
    ///
    /// # Errors
    ///
    /// As [`Client::ping`](super::Client::ping).
    pub async fn ping(&mut self) -> Result<(), DiscoveryError> {
        self.perform(&request::ping()).await
    }

    /// Ends the daemon.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub async fn shut_down(&mut self) -> Result<(), DiscoveryError> {
        self.perform(&request::shut_down()).await
    }

    /// Waits until a topic has a publisher; `None` after `timeout`. Waits for an absent daemon as well.
    /// Sends at least one request, and the last one may take its whole time.
    ///
    /// # Errors
    ///
    /// `Unreachable` if no daemon answered at the end; else as [`ping`](Self::ping).
    pub async fn wait_for_topic(
        &mut self,
        name: &str,
        timeout: Duration,
    ) -> Result<Option<Found>, DiscoveryError> {
        let mut polling = Polling::new(Instant::now(), timeout);
        loop {
            let answer = self.perform(&request::look_up(name)).await;
            match polling.next_attempt(Instant::now(), answer) {
                Ok(end) => return end,
                Err(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    /// Waits until a daemon answers.
    ///
    /// # Errors
    ///
    /// `Unreachable` if none did in time; else as [`ping`](Self::ping).
    pub async fn wait_for_daemon(&mut self, timeout: Duration) -> Result<(), DiscoveryError> {
        let mut polling = Polling::new(Instant::now(), timeout);
        loop {
            let answer = self.perform(&request::ping()).await;
            match polling.next_attempt(Instant::now(), answer.map(Some)) {
                Ok(end) => return end.map(drop),
                Err(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    async fn perform<T>(&mut self, request: &TypedRequest<'_, T>) -> Result<T, DiscoveryError> {
        let reply = self.send(request).await?;
        self.state.decode(request, reply.as_slice())
    }

    /// As the blocking client: connects to the IPv6 address of a host that has no other. Resolving blocks,
    /// so it has a thread of its own.
    async fn resolve(&mut self) {
        let Endpoint::Tcp(place) = &self.state.endpoint else { return };
        if self.is_resolved {
            return;
        }
        let place = place.clone();
        let found = tokio::task::spawn_blocking(move || ipv6_of(&place));
        let found = tokio::time::timeout(self.state.timeout, found).await;
        self.is_resolved = true;
        if let (Connection::Daemon(socket), Ok(Ok(Some(address)))) =
            (&mut self.state.connection, found)
        {
            socket.redirect(&format!("tcp://{address}"));
        }
    }

    async fn send<T>(&mut self, request: &TypedRequest<'_, T>) -> Result<Frame, DiscoveryError> {
        self.resolve().await;
        let (connection, body, attempts) = self.state.prepare(request)?;
        let socket = match connection {
            Connection::Daemon(socket) => socket,
            Connection::Process(registry) => return connection::respond(registry, body),
        };
        loop {
            let until = attempts.begin(Instant::now())?;
            let request = socket.request_async(body);
            let reply = match until {
                Some(until) => tokio::time::timeout_at(until.into(), request)
                    .await
                    .unwrap_or(Err(RequestError::TimedOut)),
                None => request.await,
            };
            if let Some(reply) = attempts.finish(Instant::now(), reply)? {
                return Ok(reply);
            }
        }
    }
}
