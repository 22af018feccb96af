//! What is asked of the daemon, and what its answers mean: the same for every client.

use std::time::{Duration, Instant};

use super::registry::fill;
use super::{Found, Topic};
use crate::endpoint::{Endpoint, EndpointError, Probe, probe};
use crate::socket::error::SocketError;
use crate::socket::reqrep::RequestError;
use crate::wire::discovery::{Command, Request, RequestExt, Response, Status};
use crate::wire::{DecodeError, EncodeError};

/// How long an answer is waited for before the question is asked again: a daemon that ended in between
/// never answers, and its successor has not heard the question.
const REPEAT: Duration = Duration::from_secs(1);
/// How often somebody who waits for a topic or a daemon asks.
const POLL: Duration = Duration::from_millis(20);

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
    /// No interface of this machine leads to the daemon's, or its name is not known.
    #[error("no interface of this machine leads to the discovery daemon")]
    NoRoute(#[source] std::io::Error),
    /// The address is none.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// libzmq refused.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// A request, and how its answer is read.
pub(super) struct Question<'a, T> {
    request: Request<'a>,
    read: fn(&Response<'_>) -> Result<T, DiscoveryError>,
}

impl<T> Question<'_, T> {
    /// Writes the request into `body`.
    pub(super) fn write(&self, body: &mut Vec<u8>) -> Result<(), DiscoveryError> {
        Ok(fill(body, |out| self.request.encode(out).map(<[u8]>::len))?)
    }

    /// What the daemon answered; also notes which start of a daemon it was.
    pub(super) fn read(&self, reply: &[u8], epoch: &mut Option<u64>) -> Result<T, DiscoveryError> {
        let response = Response::decode(reply)?;
        *epoch = response.ext.epoch;
        (self.read)(&response)
    }

    /// Whether asking twice does what asking once does: a second SHUTDOWN would end the successor.
    pub(super) fn is_repeatable(&self) -> bool {
        self.request.command != Command::Shutdown
    }
}

pub(super) fn register(topic: &Topic, ext: RequestExt) -> Question<'_, ()> {
    let request = Request {
        topic_name: Some(&topic.name),
        topic_info: Some(topic.info()),
        ext,
        ..Request::new(Command::RegisterTopic)
    };
    Question {
        request,
        read: |response| match response.status {
            Status::Ok => Ok(()),
            Status::AlreadyExists => {
                Err(DiscoveryError::AlreadyExists { message: response.message.to_owned() })
            }
            _ => Err(refused(response)),
        },
    }
}

pub(super) fn unregister(topic: &Topic) -> Question<'_, bool> {
    let request = Request {
        topic_name: Some(&topic.name),
        topic_info: Some(topic.info()),
        ..Request::new(Command::UnregisterTopic)
    };
    Question {
        request,
        read: |response| match response.status {
            Status::Ok => Ok(true),
            Status::NotFound => Ok(false),
            _ => Err(refused(response)),
        },
    }
}

pub(super) fn look_up(name: &str) -> Question<'_, Option<Found>> {
    Question {
        request: Request { topic_name: Some(name), ..Request::new(Command::LookupTopic) },
        read: |response| match (response.status, response.topic_info) {
            (Status::Ok, Some(first)) => Ok(Some(Found::new(first, response))),
            (Status::NotFound, _) => Ok(None),
            _ => Err(refused(response)),
        },
    }
}

pub(super) fn list() -> Question<'static, Vec<Topic>> {
    Question {
        request: Request::new(Command::ListTopics),
        read: |response| match response.status {
            Status::Ok => Ok(response.topics.into_iter().map(Topic::from).collect()),
            _ => Err(refused(response)),
        },
    }
}

pub(super) fn ping() -> Question<'static, ()> {
    Question { request: Request::new(Command::Ping), read: accepted }
}

pub(super) fn shut_down() -> Question<'static, ()> {
    Question { request: Request::new(Command::Shutdown), read: accepted }
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

/// Where nobody listens there is nothing to wait for.
pub(super) fn check_listener(endpoint: &Endpoint) -> Result<(), DiscoveryError> {
    match endpoint.file_path().map(probe) {
        Some(Probe::Absent | Probe::Refused) => {
            Err(DiscoveryError::Unreachable { address: endpoint.to_string() })
        }
        _ => Ok(()),
    }
}

/// Until when an answer is waited for before the question is asked again, or given up.
pub(super) fn repeat_at(deadline: Option<Instant>, is_repeatable: bool) -> Option<Instant> {
    let repeat = Instant::now().checked_add(REPEAT).filter(|_| is_repeatable);
    [deadline, repeat].into_iter().flatten().min()
}

/// Why there was no answer.
pub(super) fn failure(error: RequestError, endpoint: &Endpoint) -> DiscoveryError {
    match error {
        RequestError::TimedOut => DiscoveryError::Unreachable { address: endpoint.to_string() },
        RequestError::Interrupted => DiscoveryError::Interrupted,
        RequestError::Socket(error) => error.into(),
    }
}

/// Somebody who asks until the answer is there.
pub(super) struct Wait {
    deadline: Option<Instant>,
    is_over: bool,
}

impl Wait {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { deadline: Instant::now().checked_add(timeout), is_over: false }
    }

    /// What came of asking: the end of the wait, or how long to pause before asking again.
    pub(super) fn judge<T>(
        &mut self,
        answer: Result<Option<T>, DiscoveryError>,
    ) -> Result<Result<Option<T>, DiscoveryError>, Duration> {
        if !matches!(answer, Ok(None) | Err(DiscoveryError::Unreachable { .. })) || self.is_over {
            return Ok(answer);
        }
        let Some(deadline) = self.deadline else { return Err(POLL) };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(answer);
        }
        // Asked once more when the time is over.
        self.is_over = left <= POLL;
        Err(left.min(POLL))
    }
}
