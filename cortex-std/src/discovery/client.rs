//! Asking the daemon.

use std::time::{Duration, Instant};

use super::registry::fill;
use crate::endpoint::{Endpoint, EndpointError, Probe, probe};
use crate::socket::context::Context;
use crate::socket::error::SocketError;
use crate::socket::frame::Frame;
use crate::socket::interrupt::Interrupt;
use crate::socket::reqrep::{ReqSocket, RequestError};
use crate::wire::discovery::{Command, Request, RequestExt, Response, Status, TopicInfo};
use crate::wire::{DecodeError, EncodeError};

/// A topic and who publishes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The topic.
    pub name: String,
    /// The ZeroMQ endpoint to connect to.
    pub address: String,
    /// The bare class name of its messages.
    pub message_type: String,
    /// The wire fingerprint of its messages.
    pub fingerprint: u64,
    /// The name of the publishing node.
    pub publisher_node: String,
}

impl Topic {
    /// The topic as it travels.
    #[must_use]
    pub fn info(&self) -> TopicInfo<'_> {
        TopicInfo {
            name: &self.name,
            address: &self.address,
            message_type: &self.message_type,
            fingerprint: self.fingerprint,
            publisher_node: &self.publisher_node,
        }
    }
}

impl From<TopicInfo<'_>> for Topic {
    fn from(info: TopicInfo<'_>) -> Self {
        Self {
            name: info.name.to_owned(),
            address: info.address.to_owned(),
            message_type: info.message_type.to_owned(),
            fingerprint: info.fingerprint,
            publisher_node: info.publisher_node.to_owned(),
        }
    }
}

/// A topic that was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The topic.
    pub topic: Topic,
    /// The layout hash of its messages, where its publisher is a Rust node.
    pub layout: Option<u64>,
}

/// Why the daemon gave no answer, or not the one asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// Nobody answered in time.
    #[error("no discovery daemon answers at {address} (start one with `cortex-discovery`)")]
    Unreachable {
        /// Where it was asked.
        address: String,
    },
    /// Asking was given up because something stopped.
    #[error("interrupted while waiting for the discovery daemon")]
    Interrupted,
    /// Another node has registered the topic.
    #[error("the topic is taken: {message}")]
    AlreadyExists {
        /// The daemon's words.
        message: String,
    },
    /// The daemon refused.
    #[error("the discovery daemon refused: {message}")]
    Refused {
        /// The daemon's words.
        message: String,
    },
    /// The answer cannot be read.
    #[error("the discovery daemon's answer cannot be read")]
    Response(#[from] DecodeError),
    /// The request cannot be written.
    #[error("the request cannot be written")]
    Request(#[from] EncodeError),
    /// The address is none.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// libzmq refused.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// A client that waits for each answer, up to a deadline.
#[derive(Debug)]
pub struct Client {
    socket: ReqSocket,
    endpoint: Endpoint,
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
        let socket = ReqSocket::connect(context, address)?;
        Ok(Self { socket, endpoint, timeout, interrupt, epoch: None, body: Vec::new() })
    }

    /// Where it asks.
    #[must_use]
    pub fn address(&self) -> &str {
        self.socket.address()
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
        let request = Request {
            topic_name: Some(&topic.name),
            topic_info: Some(topic.info()),
            ext,
            ..Request::new(Command::RegisterTopic)
        };
        self.ask(&request, |response| match response.status {
            Status::Ok => Ok(()),
            Status::AlreadyExists => {
                Err(DiscoveryError::AlreadyExists { message: response.message.to_owned() })
            }
            _ => Err(refused(response)),
        })
    }

    /// Makes a topic of this node unknown; false: it was not known, or is another node's.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn unregister(&mut self, topic: &Topic) -> Result<bool, DiscoveryError> {
        let request = Request {
            topic_name: Some(&topic.name),
            topic_info: Some(topic.info()),
            ..Request::new(Command::UnregisterTopic)
        };
        self.ask(&request, |response| match response.status {
            Status::Ok => Ok(true),
            Status::NotFound => Ok(false),
            _ => Err(refused(response)),
        })
    }

    /// Finds a topic.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn look_up(&mut self, name: &str) -> Result<Option<Found>, DiscoveryError> {
        let request = Request { topic_name: Some(name), ..Request::new(Command::LookupTopic) };
        self.ask(&request, |response| match (response.status, response.topic_info) {
            (Status::Ok, Some(info)) => {
                Ok(Some(Found { topic: info.into(), layout: response.ext.layout }))
            }
            (Status::NotFound, _) => Ok(None),
            _ => Err(refused(response)),
        })
    }

    /// All topics, in no order that a daemon promises.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn list(&mut self) -> Result<Vec<Topic>, DiscoveryError> {
        self.ask(&Request::new(Command::ListTopics), |response| match response.status {
            Status::Ok => Ok(response.topics.into_iter().map(Topic::from).collect()),
            _ => Err(refused(response)),
        })
    }

    /// Asks whether the daemon is there.
    ///
    /// # Errors
    ///
    /// `Unreachable` after the timeout, or at once where nobody listens at an ipc address;
    /// `Refused`; `Response` for an answer that cannot be read.
    pub fn ping(&mut self) -> Result<(), DiscoveryError> {
        self.ask(&Request::new(Command::Ping), accepted)
    }

    /// Ends the daemon.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    pub fn shut_down(&mut self) -> Result<(), DiscoveryError> {
        self.ask(&Request::new(Command::Shutdown), accepted)
    }

    /// From now on waits no longer than `timeout` for an answer, and for that uninterrupted.
    pub(crate) fn limit(&mut self, timeout: Duration) {
        self.timeout = timeout;
        self.interrupt = None;
    }

    fn ask<T>(
        &mut self,
        request: &Request<'_>,
        read: impl FnOnce(&Response<'_>) -> Result<T, DiscoveryError>,
    ) -> Result<T, DiscoveryError> {
        let mut body = std::mem::take(&mut self.body);
        let reply = fill(&mut body, |out| request.encode(out).map(<[u8]>::len))
            .map_err(DiscoveryError::from)
            .and_then(|()| self.send(&body));
        self.body = body;
        let reply = reply?;
        let response = Response::decode(reply.as_slice())?;
        self.epoch = response.ext.epoch;
        read(&response)
    }

    fn send(&mut self, body: &[u8]) -> Result<Frame, DiscoveryError> {
        let unreachable =
            || DiscoveryError::Unreachable { address: self.socket.address().to_owned() };
        // Where nobody listens there is nothing to wait for.
        if let Some(path) = self.endpoint.file_path()
            && matches!(probe(path), Probe::Absent | Probe::Refused)
        {
            return Err(unreachable());
        }
        let deadline = Instant::now().checked_add(self.timeout);
        match self.socket.request(body, deadline, self.interrupt.as_ref()) {
            Ok(reply) => Ok(reply),
            Err(RequestError::TimedOut) => {
                Err(DiscoveryError::Unreachable { address: self.socket.address().to_owned() })
            }
            Err(RequestError::Interrupted) => Err(DiscoveryError::Interrupted),
            Err(RequestError::Socket(error)) => Err(error.into()),
        }
    }
}

fn accepted(response: &Response<'_>) -> Result<(), DiscoveryError> {
    match response.status {
        Status::Ok => Ok(()),
        _ => Err(refused(response)),
    }
}

fn refused(response: &Response<'_>) -> DiscoveryError {
    DiscoveryError::Refused { message: response.message.to_owned() }
}
