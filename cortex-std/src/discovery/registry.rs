//! The daemon's memory: a function from requests to responses, without sockets or clocks.

use std::collections::BTreeMap;

use crate::wire::discovery::{
    Command, Request, RequestExt, Response, ResponseExt, Status, TopicInfo, Topics,
};
use crate::wire::{DecodeError, EncodeError, EncodeErrorKind};

/// Bytes of the longest topic name.
const MAX_NAME_LEN: usize = 1024;
/// Topics that are kept: a list of them must fit into one answer.
const MAX_TOPICS: usize = 20_000;

/// What the daemon does after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Goes on.
    Continue,
    /// Ends: somebody sent SHUTDOWN.
    Shutdown,
}

/// The topics that are registered.
///
/// # Examples
///
/// ```
/// use cortex_std::discovery::{Registry, Verdict};
/// use cortex_std::wire::discovery::{Command, Request, Response, Status};
///
/// let mut registry = Registry::new(7);
/// let mut body = [0; 64];
/// let request = Request::new(Command::Ping).encode(&mut body)?;
/// let mut answer = Vec::new();
/// assert_eq!(registry.answer(request, &mut answer), Verdict::Continue);
/// let response = Response::decode(&answer)?;
/// assert_eq!((response.status, response.message), (Status::Ok, "pong"));
/// assert_eq!(response.ext.epoch, Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Registry {
    epoch: u64,
    topics: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    address: String,
    message_type: String,
    fingerprint: u64,
    publisher_node: String,
    layout: Option<u64>,
}

impl Entry {
    fn info<'a>(&'a self, name: &'a str) -> TopicInfo<'a> {
        TopicInfo {
            name,
            address: &self.address,
            message_type: &self.message_type,
            fingerprint: self.fingerprint,
            publisher_node: &self.publisher_node,
        }
    }
}

impl Registry {
    /// An empty registry. `epoch` is any number that an earlier daemon did not have: by it clients
    /// notice that this one knows nothing of them.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Self { epoch, topics: BTreeMap::new() }
    }

    /// The number of registered topics.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// Answers a request body; `out` then holds the response body.
    ///
    /// Whatever the body is, there is an answer: malformed ones get `ERROR` with the reason.
    pub fn answer(&mut self, body: &[u8], out: &mut Vec<u8>) -> Verdict {
        let request = match Request::decode(body) {
            Ok(request) => request,
            Err(error) => {
                self.reject(&error, out);
                return Verdict::Continue;
            }
        };
        match request.command {
            Command::RegisterTopic => self.register(&request, out),
            Command::UnregisterTopic => self.unregister(&request, out),
            Command::LookupTopic => self.look_up(&request, out),
            Command::ListTopics => self.list(out),
            Command::Ping => self.respond(Status::Ok, "pong", out),
            Command::Shutdown => {
                self.respond(Status::Ok, "Shutting down", out);
                return Verdict::Shutdown;
            }
            _ => self.respond(Status::Error, "Unknown command", out),
        }
        Verdict::Continue
    }

    fn register(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        let Some(info) = request.topic_info else {
            return self.respond(Status::Error, "Missing topic info", out);
        };
        if info.name.is_empty() || info.name.len() > MAX_NAME_LEN {
            return self.respond(Status::Error, "Topic name is empty or too long", out);
        }
        if self.topics.len() >= MAX_TOPICS && !self.topics.contains_key(info.name) {
            return self.respond(Status::Error, "Too many topics", out);
        }
        if let Some(entry) = self.topics.get(info.name)
            && entry.publisher_node != info.publisher_node
        {
            let message =
                format!("Topic {} already registered by {}", info.name, entry.publisher_node);
            return self.respond(Status::AlreadyExists, &message, out);
        }
        let RequestExt { layout, .. } = request.ext;
        let entry = Entry {
            address: info.address.to_owned(),
            message_type: info.message_type.to_owned(),
            fingerprint: info.fingerprint,
            publisher_node: info.publisher_node.to_owned(),
            layout,
        };
        self.topics.insert(info.name.to_owned(), entry);
        self.respond(Status::Ok, &format!("Registered topic: {}", info.name), out);
    }

    fn unregister(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        let Some(name) = name_of(request) else {
            return self.respond(Status::Error, "Missing topic name", out);
        };
        // A Rust node says which one it means, so that it does not take away its successor's.
        let foreign = match (request.topic_info, self.topics.get(name)) {
            (Some(info), Some(entry)) => {
                entry.publisher_node != info.publisher_node || entry.address != info.address
            }
            _ => false,
        };
        if !foreign && self.topics.remove(name).is_some() {
            self.respond(Status::Ok, &format!("Unregistered topic: {name}"), out);
        } else {
            self.respond(Status::NotFound, &format!("Topic {name} not found"), out);
        }
    }

    fn look_up(&self, request: &Request<'_>, out: &mut Vec<u8>) {
        let Some(name) = name_of(request) else {
            return self.respond(Status::Error, "Missing topic name", out);
        };
        match self.topics.get(name) {
            Some(entry) => {
                let ext = ResponseExt { layout: entry.layout, ..self.ext() };
                let topic_info = Some(entry.info(name));
                write(&Response { topic_info, ext, ..Response::new(Status::Ok, "") }, out);
            }
            None => self.respond(Status::NotFound, &format!("Topic {name} not found"), out),
        }
    }

    fn list(&self, out: &mut Vec<u8>) {
        let topics: Vec<_> = self.topics.iter().map(|(name, entry)| entry.info(name)).collect();
        let topics = Topics::from(&topics[..]);
        write(&Response { topics, ext: self.ext(), ..Response::new(Status::Ok, "") }, out);
    }

    fn reject(&self, error: &DecodeError, out: &mut Vec<u8>) {
        self.respond(Status::Error, &format!("Malformed request: {error}"), out);
    }

    fn respond(&self, status: Status, message: &str, out: &mut Vec<u8>) {
        write(&Response { ext: self.ext(), ..Response::new(status, message) }, out);
    }

    fn ext(&self) -> ResponseExt {
        ResponseExt { epoch: Some(self.epoch), layout: None }
    }
}

/// The topic that a request is about; some clients say it in the information only.
fn name_of<'a>(request: &Request<'a>) -> Option<&'a str> {
    request.topic_name.or(request.topic_info.map(|info| info.name))
}

fn write(response: &Response<'_>, out: &mut Vec<u8>) {
    if let Err(error) = fill(out, |out| response.encode(out).map(<[u8]>::len)) {
        // Only strings of gigabytes cannot be written, and a request is limited to megabytes.
        tracing::error!(%error, "cannot encode a response");
        out.clear();
    }
}

/// Lets `encode` write into `out`, which then is exactly as long as what was written.
pub(crate) fn fill(
    out: &mut Vec<u8>,
    encode: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), EncodeError> {
    // Enough for most; what a rare long one needs is not filled with zeros for each short one.
    out.resize(256, 0);
    let len = match encode(out) {
        Err(EncodeError { kind: EncodeErrorKind::OutputFull, needed, .. }) => {
            out.resize(needed, 0);
            encode(out)?
        }
        other => other?,
    };
    out.truncate(len);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: TopicInfo<'_> = TopicInfo {
        name: "/t",
        address: "ipc:///tmp/t",
        message_type: "StringMessage",
        fingerprint: 1,
        publisher_node: "a",
    };

    fn register(info: TopicInfo<'_>) -> Request<'_> {
        Request { topic_info: Some(info), ..Request::new(Command::RegisterTopic) }
    }

    fn about(command: Command, name: &str) -> Request<'_> {
        Request { topic_name: Some(name), ..Request::new(command) }
    }

    fn ask<'o>(
        registry: &mut Registry,
        request: &Request<'_>,
        out: &'o mut Vec<u8>,
    ) -> Response<'o> {
        let mut body = Vec::new();
        fill(&mut body, |out| request.encode(out).map(<[u8]>::len)).unwrap();
        let _ = registry.answer(&body, out);
        Response::decode(out).unwrap()
    }

    #[test]
    fn a_topic_is_found_until_it_is_unregistered() {
        let mut registry = Registry::new(1);
        let out = &mut Vec::new();
        let response = ask(&mut registry, &register(INFO), out);
        assert_eq!((response.status, response.message), (Status::Ok, "Registered topic: /t"));
        let response = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
        assert_eq!(response.topic_info, Some(INFO));
        let response = ask(&mut registry, &Request::new(Command::ListTopics), out);
        assert!(response.topics.into_iter().eq([INFO]));
        assert_eq!(response.topic_info, None);
        let response = ask(&mut registry, &about(Command::UnregisterTopic, "/t"), out);
        assert_eq!(response.status, Status::Ok);
        let response = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
        assert_eq!((response.status, response.message), (Status::NotFound, "Topic /t not found"));
        let response = ask(&mut registry, &about(Command::UnregisterTopic, "/t"), out);
        assert_eq!(response.status, Status::NotFound);
    }

    #[test]
    fn a_topic_belongs_to_the_node_that_registered_it() {
        let mut registry = Registry::new(1);
        let out = &mut Vec::new();
        ask(&mut registry, &register(INFO), out);
        let other = TopicInfo { publisher_node: "b", ..INFO };
        let response = ask(&mut registry, &register(other), out);
        assert_eq!(response.status, Status::AlreadyExists);
        let moved = TopicInfo { address: "ipc:///tmp/u", ..INFO };
        assert_eq!(ask(&mut registry, &register(moved), out).status, Status::Ok);
        let response = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
        assert_eq!(response.topic_info, Some(moved));
        // Who names itself unregisters its own topics only.
        let foreign = Request { topic_info: Some(other), ..about(Command::UnregisterTopic, "/t") };
        assert_eq!(ask(&mut registry, &foreign, out).status, Status::NotFound);
        assert_eq!(registry.topic_count(), 1);
    }

    #[test]
    fn malformed_requests_are_answered_with_error() {
        let mut registry = Registry::new(1);
        let out = &mut Vec::new();
        for body in [&b""[..], b"\xc1", b"\x80", b"garbage", b"\x81\xa7command\x2a"] {
            assert_eq!(registry.answer(body, out), Verdict::Continue);
            let response = Response::decode(out).unwrap();
            assert_eq!(response.status, Status::Error);
            assert!(!response.message.is_empty());
        }
        for command in [Command::RegisterTopic, Command::LookupTopic, Command::UnregisterTopic] {
            assert_eq!(ask(&mut registry, &Request::new(command), out).status, Status::Error);
        }
    }

    #[test]
    fn shutdown_is_answered_and_then_obeyed() {
        let mut body = [0; 64];
        let body = Request::new(Command::Shutdown).encode(&mut body).unwrap();
        let mut out = Vec::new();
        assert_eq!(Registry::new(1).answer(body, &mut out), Verdict::Shutdown);
        assert_eq!(Response::decode(&out).unwrap().status, Status::Ok);
    }
}
