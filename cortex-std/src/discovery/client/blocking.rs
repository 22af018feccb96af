//! The client that blocks its thread.

use std::time::{Duration, Instant};

use super::attempts::Polling;
use super::connection::{self, Connection};
use super::request::{self, TypedRequest};
use super::state::ClientState;
use crate::discovery::error::DiscoveryError;
use crate::discovery::topic::{Found, Topic};
use crate::endpoint::{Endpoint, ipv6_of};
use crate::transport::{Context, Frame, Interrupt};
use crate::wire::discovery::RequestExt;

/// A client of the daemon that blocks until each response, up to a timeout.
///
/// Creating one does not wait, and a request without a response leaves nothing behind: the next request
/// uses a new connection. Within its timeout a request is sent again once a second, because a daemon that
/// ended meanwhile never answers.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use cortex_std::discovery::{Client, Daemon, DiscoveryError};
///
/// # let folder = tempfile::tempdir()?;
/// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
/// let mut client = Client::connect(&address, Duration::from_secs(1))?;
/// // No process listens: the error comes at once.
/// assert!(matches!(client.ping(), Err(DiscoveryError::Unreachable { .. })));
///
/// let _daemon = Daemon::bind(&address)?.spawn()?;
/// client.wait_for_daemon(Duration::from_secs(10))?;
/// assert!(client.look_up("/camera")?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    state: ClientState,
    interrupt: Option<Interrupt>,
    /// Whether an error may take a moment to be explained.
    explains: bool,
    /// Whether the name of the host was resolved.
    is_resolved: bool,
}

impl Client {
    /// A client of the daemon at `address`, which need not run yet; `timeout` is for each request.
    ///
    /// # Errors
    ///
    /// When the address is invalid, or no socket is left.
    pub fn connect(address: &str, timeout: Duration) -> Result<Self, DiscoveryError> {
        Self::with_context(&Context::shared()?, address, timeout, None)
    }

    pub(crate) fn with_context(
        context: &Context,
        address: &str,
        timeout: Duration,
        interrupt: Option<Interrupt>,
    ) -> Result<Self, DiscoveryError> {
        let state = ClientState::connect(context, address, timeout)?;
        Ok(Self { state, interrupt, explains: true, is_resolved: false })
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
    pub fn register(&mut self, topic: &Topic, ext: RequestExt) -> Result<(), DiscoveryError> {
        self.perform(&request::register(topic, ext))
    }

    /// Unregisters a topic of this node; false where it is unknown or belongs to another node.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn unregister(&mut self, topic: &Topic) -> Result<bool, DiscoveryError> {
        self.perform(&request::unregister(topic))
    }

    /// Looks a topic up, with every publisher of a shared one; `None` for an unknown topic.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn look_up(&mut self, name: &str) -> Result<Option<Found>, DiscoveryError> {
        self.perform(&request::look_up(name))
    }

    /// All topics, in no particular order.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn list(&mut self) -> Result<Vec<Topic>, DiscoveryError> {
        self.perform(&request::list())
    }

    /// Checks whether the daemon answers.
    ///
    /// # Errors
    ///
    /// `Unreachable` after the timeout, or at once where no process listens at an ipc address;
    /// `Refused`; `Response` for a malformed answer.
    pub fn ping(&mut self) -> Result<(), DiscoveryError> {
        self.perform(&request::ping())
    }

    /// Ends the daemon.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn shut_down(&mut self) -> Result<(), DiscoveryError> {
        self.perform(&request::shut_down())
    }

    /// Waits until a topic has a publisher; `None` after `timeout`. Waits for an absent daemon as well.
    /// Sends at least one request, and the last one may take its whole time.
    ///
    /// # Errors
    ///
    /// `Unreachable` if no daemon answered at the end; else as [`ping`](Self::ping).
    pub fn wait_for_topic(
        &mut self,
        name: &str,
        timeout: Duration,
    ) -> Result<Option<Found>, DiscoveryError> {
        let mut polling = Polling::new(Instant::now(), timeout);
        loop {
            let answer = self.perform(&request::look_up(name));
            match polling.next_attempt(Instant::now(), answer) {
                Ok(end) => return end,
                Err(pause) => std::thread::sleep(pause),
            }
        }
    }

    /// Waits until a daemon answers.
    ///
    /// # Errors
    ///
    /// `Unreachable` if none did in time; else as [`ping`](Self::ping).
    pub fn wait_for_daemon(&mut self, timeout: Duration) -> Result<(), DiscoveryError> {
        let mut polling = Polling::new(Instant::now(), timeout);
        loop {
            let answer = self.perform(&request::ping());
            match polling.next_attempt(Instant::now(), answer.map(Some)) {
                Ok(end) => return end.map(drop),
                Err(pause) => std::thread::sleep(pause),
            }
        }
    }

    /// From now on waits at most `timeout` for a response, without an interrupt.
    pub(crate) fn limit(&mut self, timeout: Duration) {
        self.state.timeout = timeout;
        self.interrupt = None;
        self.explains = false;
    }

    fn perform<T>(&mut self, request: &TypedRequest<'_, T>) -> Result<T, DiscoveryError> {
        let reply = self.send(request)?;
        self.state.decode(request, reply.as_slice())
    }

    /// Connects to the IPv6 address of a host that has no other, before the first request: libzmq resolves a
    /// name to IPv4 only.
    fn resolve(&mut self) {
        if std::mem::replace(&mut self.is_resolved, true) {
            return;
        }
        if let (Connection::Daemon(socket), Endpoint::Tcp(place)) =
            (&mut self.state.connection, &self.state.endpoint)
            && let Some(address) = ipv6_of(place)
        {
            socket.redirect(&format!("tcp://{address}"));
        }
    }

    fn send<T>(&mut self, request: &TypedRequest<'_, T>) -> Result<Frame, DiscoveryError> {
        self.resolve();
        let (connection, body, attempts) = self.state.prepare(request)?;
        let attempts = if self.explains { attempts.explaining() } else { attempts };
        let socket = match connection {
            Connection::Daemon(socket) => socket,
            Connection::Process(registry) => return connection::respond(registry, body),
        };
        loop {
            let until = attempts.begin(Instant::now())?;
            let reply = socket.request(body, until, self.interrupt.as_ref());
            if let Some(reply) = attempts.finish(Instant::now(), reply)? {
                return Ok(reply);
            }
        }
    }
}
