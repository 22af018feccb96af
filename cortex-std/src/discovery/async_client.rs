//! Asking the daemon, in a tokio runtime.

use std::time::{Duration, Instant};

use super::line::{self, Line};
use super::question::{self, DiscoveryError, Question, Wait, check_listener};
use super::{Found, Topic};
use crate::endpoint::Endpoint;
use crate::socket::context::Context;
use crate::socket::frame::Frame;
use crate::socket::reqrep::RequestError;
use crate::wire::discovery::RequestExt;

/// A [`Client`](super::Client) whose answers are awaited, for tokio.
///
/// # Cancel safety
///
/// Every future may be dropped at any time: the question may have been served, and the next one is
/// asked through a new connection.
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
    line: Line,
    endpoint: Endpoint,
    address: String,
    timeout: Duration,
    epoch: Option<u64>,
}

impl AsyncClient {
    /// A client of the daemon at `address`, which need not run yet; `timeout` is for each request.
    ///
    /// # Errors
    ///
    /// When the address is none, or libzmq has no socket left.
    pub fn connect(address: &str, timeout: Duration) -> Result<Self, DiscoveryError> {
        let endpoint: Endpoint = address.parse()?;
        let line = Line::open(&Context::shared()?, &endpoint)?;
        let address = address.to_owned();
        Ok(Self { line, endpoint, address, timeout, epoch: None })
    }

    /// Where it asks.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The daemon's epoch in its last answer; `None` before one, and from a Python daemon.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// Makes a topic known.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` where another node has it; else as [`ping`](Self::ping).
    pub async fn register(&mut self, topic: &Topic, ext: RequestExt) -> Result<(), DiscoveryError> {
        self.ask(&question::register(topic, ext), self.deadline()).await
    }

    /// Makes a topic of this node unknown; false: it was not known, or is another node's.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub async fn unregister(&mut self, topic: &Topic) -> Result<bool, DiscoveryError> {
        self.ask(&question::unregister(topic), self.deadline()).await
    }

    /// Finds a topic, with every publisher of a shared one.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub async fn look_up(&mut self, name: &str) -> Result<Option<Found>, DiscoveryError> {
        self.ask(&question::look_up(name), self.deadline()).await
    }

    /// All topics, in no order that a daemon promises.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub async fn list(&mut self) -> Result<Vec<Topic>, DiscoveryError> {
        self.ask(&question::list(), self.deadline()).await
    }

    /// Asks whether the daemon is there.
    ///
    /// # Errors
    ///
    /// As [`Client::ping`](super::Client::ping).
    pub async fn ping(&mut self) -> Result<(), DiscoveryError> {
        self.ask(&question::ping(), self.deadline()).await
    }

    /// Ends the daemon.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub async fn shut_down(&mut self) -> Result<(), DiscoveryError> {
        self.ask(&question::shut_down(), self.deadline()).await
    }

    /// Waits until somebody publishes a topic; `None`: nobody did in time. That no daemon runs yet
    /// is waited for as well. It is asked at least once, and the last question may take its own time.
    ///
    /// # Errors
    ///
    /// `Unreachable` if no daemon answered at the end; else as [`ping`](Self::ping).
    pub async fn wait_for_topic(
        &mut self,
        name: &str,
        timeout: Duration,
    ) -> Result<Option<Found>, DiscoveryError> {
        let mut wait = Wait::new(timeout);
        loop {
            let answer = self.ask(&question::look_up(name), self.deadline()).await;
            match wait.judge(answer) {
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
        let mut wait = Wait::new(timeout);
        loop {
            let answer = self.ask(&question::ping(), self.deadline()).await;
            match wait.judge(answer.map(Some)) {
                Ok(end) => return end.map(drop),
                Err(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.timeout)
    }

    async fn ask<T>(
        &mut self,
        question: &Question<'_, T>,
        deadline: Option<Instant>,
    ) -> Result<T, DiscoveryError> {
        let mut body = Vec::new();
        question.write(&mut body)?;
        let reply = self.send(&body, deadline, question.is_repeatable()).await?;
        question.read(reply.as_slice(), &mut self.epoch)
    }

    async fn send(
        &mut self,
        body: &[u8],
        deadline: Option<Instant>,
        is_repeatable: bool,
    ) -> Result<Frame, DiscoveryError> {
        let socket = match &mut self.line {
            Line::Daemon(socket) => socket,
            Line::Process(registry) => return line::answer(registry, body),
        };
        loop {
            check_listener(&self.endpoint)?;
            let until = question::repeat_at(deadline, is_repeatable);
            let request = socket.request_async(body);
            let answer = match until {
                Some(until) => tokio::time::timeout_at(until.into(), request)
                    .await
                    .unwrap_or(Err(RequestError::TimedOut)),
                None => request.await,
            };
            match answer {
                Ok(reply) => return Ok(reply),
                Err(RequestError::TimedOut)
                    if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
                Err(error) => return Err(question::failure(error, &self.endpoint)),
            }
        }
    }
}
