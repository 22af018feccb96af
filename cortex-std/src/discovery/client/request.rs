//! The requests to the daemon and how their responses are decoded.

use crate::discovery::body::encode_body;
use crate::discovery::error::DiscoveryError;
use crate::discovery::topic::{Found, Topic};
use crate::wire::discovery::{Command, Request, RequestExt, Response, Status};

/// A request whose response is decoded as a `T`.
pub(super) struct TypedRequest<'a, T> {
    request: Request<'a>,
    decode: fn(&Response<'_>) -> Result<T, DiscoveryError>,
}

impl<T> TypedRequest<'_, T> {
    /// Encodes the request into `body`.
    pub(super) fn encode(&self, body: &mut Vec<u8>) -> Result<(), DiscoveryError> {
        Ok(encode_body(body, |out| self.request.encode(out).map(<[u8]>::len))?)
    }

    /// The answer in a reply, and the epoch of the daemon that sent it.
    ///
    /// # Errors
    ///
    /// `Response` for a malformed reply.
    pub(super) fn decode(
        &self,
        reply: &[u8],
    ) -> Result<(Result<T, DiscoveryError>, Option<u64>), DiscoveryError> {
        let response = Response::decode(reply)?;
        Ok(((self.decode)(&response), response.ext.epoch))
    }

    /// Whether sending it twice has the same effect: a second SHUTDOWN would end the successor.
    pub(super) fn is_repeatable(&self) -> bool {
        self.request.command != Command::Shutdown
    }
}

pub(super) fn register(topic: &Topic, ext: RequestExt) -> TypedRequest<'_, ()> {
    let request = Request {
        topic_name: Some(&topic.name),
        topic_info: Some(topic.info()),
        ext,
        ..Request::new(Command::RegisterTopic)
    };
    TypedRequest {
        request,
        decode: |response| match response.status {
            Status::Ok => Ok(()),
            Status::AlreadyExists => {
                Err(DiscoveryError::AlreadyExists { message: response.message.to_owned() })
            }
            _ => Err(refused(response)),
        },
    }
}

pub(super) fn unregister(topic: &Topic) -> TypedRequest<'_, bool> {
    let request = Request {
        topic_name: Some(&topic.name),
        topic_info: Some(topic.info()),
        ..Request::new(Command::UnregisterTopic)
    };
    TypedRequest {
        request,
        decode: |response| match response.status {
            Status::Ok => Ok(true),
            Status::NotFound => Ok(false),
            _ => Err(refused(response)),
        },
    }
}

pub(super) fn look_up(name: &str) -> TypedRequest<'_, Option<Found>> {
    TypedRequest {
        request: Request { topic_name: Some(name), ..Request::new(Command::LookupTopic) },
        decode: |response| match (response.status, response.topic_info) {
            (Status::Ok, Some(first)) => Ok(Some(Found::new(first, response))),
            (Status::NotFound, _) => Ok(None),
            _ => Err(refused(response)),
        },
    }
}

pub(super) fn list() -> TypedRequest<'static, Vec<Topic>> {
    TypedRequest {
        request: Request::new(Command::ListTopics),
        decode: |response| match response.status {
            Status::Ok => Ok(response.topics.into_iter().map(Topic::from).collect()),
            _ => Err(refused(response)),
        },
    }
}

pub(super) fn ping() -> TypedRequest<'static, ()> {
    TypedRequest { request: Request::new(Command::Ping), decode: accepted }
}

pub(super) fn shut_down() -> TypedRequest<'static, ()> {
    TypedRequest { request: Request::new(Command::Shutdown), decode: accepted }
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
