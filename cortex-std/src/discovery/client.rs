//! Asking the daemon, on this thread.

use std::time::{Duration, Instant};

use super::line::{self, Line};
use super::question::{self, DiscoveryError, Question, Wait, check_listener};
use super::{Found, Topic};
use crate::endpoint::Endpoint;
use crate::socket::context::Context;
use crate::socket::frame::Frame;
use crate::socket::interrupt::Interrupt;
use crate::socket::reqrep::RequestError;
use crate::wire::discovery::RequestExt;

/// A client that waits for each answer, up to a deadline.
///
/// Making one waits for nobody, and a question that was not answered leaves nothing behind: the next
/// one is asked through a new connection. Within its time a question is asked again once a second,
/// because a daemon that ended with it never answers.
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
/// // Nobody listens: this is known at once.
/// assert!(matches!(client.ping(), Err(DiscoveryError::Unreachable { .. })));
///
/// let _daemon = Daemon::bind(&address)?.spawn()?;
/// client.wait_for_daemon(Duration::from_secs(10))?;
/// assert!(client.look_up("/camera")?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    line: Line,
    endpoint: Endpoint,
    address: String,
    timeout: Duration,
    interrupt: Option<Interrupt>,
    epoch: Option<u64>,
    body: Vec<u8>,
}

impl Client {
    /// A client of the daemon at `address`, which need not run yet; `timeout` is for each request.
    ///
    /// # Errors
    ///
    /// When the address is none, or libzmq has no socket left.
    pub fn connect(address: &str, timeout: Duration) -> Result<Self, DiscoveryError> {
        Self::with_context(&Context::shared()?, address, timeout, None)
    }

    pub(crate) fn with_context(
        context: &Context,
        address: &str,
        timeout: Duration,
        interrupt: Option<Interrupt>,
    ) -> Result<Self, DiscoveryError> {
        let endpoint: Endpoint = address.parse()?;
        let line = Line::open(context, &endpoint)?;
        let address = address.to_owned();
        Ok(Self { line, endpoint, address, timeout, interrupt, epoch: None, body: Vec::new() })
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
    pub fn register(&mut self, topic: &Topic, ext: RequestExt) -> Result<(), DiscoveryError> {
        self.ask(&question::register(topic, ext), self.deadline())
    }

    /// Makes a topic of this node unknown; false: it was not known, or is another node's.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn unregister(&mut self, topic: &Topic) -> Result<bool, DiscoveryError> {
        self.ask(&question::unregister(topic), self.deadline())
    }

    /// Finds a topic, with every publisher of a shared one.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn look_up(&mut self, name: &str) -> Result<Option<Found>, DiscoveryError> {
        self.ask(&question::look_up(name), self.deadline())
    }

    /// All topics, in no order that a daemon promises.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn list(&mut self) -> Result<Vec<Topic>, DiscoveryError> {
        self.ask(&question::list(), self.deadline())
    }

    /// Asks whether the daemon is there.
    ///
    /// # Errors
    ///
    /// `Unreachable` after the timeout, or at once where nobody listens at an ipc address;
    /// `Refused`; `Response` for an answer that cannot be read.
    pub fn ping(&mut self) -> Result<(), DiscoveryError> {
        self.ask(&question::ping(), self.deadline())
    }

    /// Ends the daemon.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn shut_down(&mut self) -> Result<(), DiscoveryError> {
        self.ask(&question::shut_down(), self.deadline())
    }

    /// Waits until somebody publishes a topic; `None`: nobody did in time. That no daemon runs yet
    /// is waited for as well. It is asked at least once, and the last question may take its own time.
    ///
    /// # Errors
    ///
    /// `Unreachable` if no daemon answered at the end; else as [`ping`](Self::ping).
    pub fn wait_for_topic(
        &mut self,
        name: &str,
        timeout: Duration,
    ) -> Result<Option<Found>, DiscoveryError> {
        let mut wait = Wait::new(timeout);
        loop {
            let answer = self.ask(&question::look_up(name), self.deadline());
            match wait.judge(answer) {
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
        let mut wait = Wait::new(timeout);
        loop {
            let answer = self.ask(&question::ping(), self.deadline());
            match wait.judge(answer.map(Some)) {
                Ok(end) => return end.map(drop),
                Err(pause) => std::thread::sleep(pause),
            }
        }
    }

    /// From now on waits no longer than `timeout` for an answer, and for that uninterrupted.
    pub(crate) fn limit(&mut self, timeout: Duration) {
        self.timeout = timeout;
        self.interrupt = None;
    }

    fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.timeout)
    }

    fn ask<T>(
        &mut self,
        question: &Question<'_, T>,
        deadline: Option<Instant>,
    ) -> Result<T, DiscoveryError> {
        let mut body = std::mem::take(&mut self.body);
        let reply = question
            .write(&mut body)
            .and_then(|()| self.send(&body, deadline, question.is_repeatable()));
        self.body = body;
        question.read(reply?.as_slice(), &mut self.epoch)
    }

    fn send(
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
            match socket.request(body, until, self.interrupt.as_ref()) {
                Ok(reply) => return Ok(reply),
                Err(RequestError::TimedOut)
                    if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
                Err(error) => return Err(question::failure(error, &self.endpoint)),
            }
        }
    }
}
