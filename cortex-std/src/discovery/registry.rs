//! The daemon's memory: a function from time and request to response, without sockets or clocks.

use std::time::{Duration, Instant};

use super::state;
use super::table::{Check, Entry, MAX_TEXT_LEN, Refused, Table};
use crate::endpoint::Probe;
use crate::wire::discovery::{Command, Request, Response, ResponseExt, Status, TopicInfo, Topics};
use crate::wire::{DecodeError, EncodeError, EncodeErrorKind};

/// What the daemon does after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Goes on.
    Continue,
    /// Ends: somebody who may sent SHUTDOWN.
    Shutdown,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Over a unix socket of this machine, whose mode says who may.
    Local,
    /// Over tcp, from anybody.
    Remote,
}

/// The topics that are registered.
///
/// # Examples
///
/// ```
/// use std::time::Instant;
/// use cortex_std::discovery::{Origin, Registry, Verdict};
/// use cortex_std::wire::discovery::{Command, Request, Response, Status};
///
/// let mut registry = Registry::new(7);
/// let mut body = [0; 64];
/// let request = Request::new(Command::Ping).encode(&mut body)?;
/// let mut answer = Vec::new();
/// let verdict = registry.answer(Instant::now(), Origin::Local, request, &mut answer);
/// assert_eq!(verdict, Verdict::Continue);
/// let response = Response::decode(&answer)?;
/// assert_eq!((response.status, response.message), (Status::Ok, "pong"));
/// assert_eq!(response.ext.epoch, Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Registry {
    epoch: u64,
    table: Table,
}

impl Registry {
    /// An empty registry. `epoch` is any number that an earlier daemon did not have: by it clients
    /// notice that this one may know nothing of them.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Self { epoch, table: Table::default() }
    }

    /// The number of registered topics.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.table.len()
    }

    /// Answers a request body that came in at `now`; `out` then holds the response body.
    ///
    /// Whatever the body is, there is an answer: malformed ones get `ERROR` with the reason.
    pub fn answer(
        &mut self,
        now: Instant,
        origin: Origin,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Verdict {
        let request = match Request::decode(body) {
            Ok(request) => request,
            Err(error) => {
                self.reject(&error, out);
                return Verdict::Continue;
            }
        };
        match request.command {
            Command::RegisterTopic => self.register(now, origin, &request, out),
            Command::UnregisterTopic => self.unregister(&request, out),
            Command::LookupTopic => self.look_up(&request, out),
            Command::ListTopics => self.list(out),
            Command::Ping => self.respond(Status::Ok, "pong", out),
            Command::Shutdown if origin == Origin::Remote => {
                self.respond(Status::Error, "SHUTDOWN is refused over tcp", out);
            }
            Command::Shutdown => {
                self.respond(Status::Ok, "Shutting down", out);
                return Verdict::Shutdown;
            }
            _ => self.respond(Status::Error, "Unknown command", out),
        }
        Verdict::Continue
    }

    /// Ends the leases that were not renewed before `now`; returns how many.
    pub fn expire(&mut self, now: Instant) -> usize {
        let ended = self.table.expire(now);
        for (topic, node) in &ended {
            tracing::info!(topic, node, "a lease ended");
        }
        ended.len()
    }

    /// Lets every lease last longer, by as long as nobody could have renewed it.
    pub(super) fn extend_leases(&mut self, by: Duration) {
        self.table.extend_leases(by);
    }

    /// Grows with every change that is worth keeping.
    pub(super) fn version(&self) -> u64 {
        self.table.version()
    }

    /// Whether there are addresses that should be looked at now.
    pub(super) fn is_urgent(&self) -> bool {
        self.table.is_urgent()
    }

    /// Addresses that should be looked at now.
    pub(super) fn take_urgent(&mut self) -> Vec<Check> {
        self.table.take_urgent()
    }

    /// Addresses to be looked at in their turn: those of at most `count` topics from the `from`th on.
    pub(super) fn checks(&self, from: usize, count: usize) -> Vec<Check> {
        self.table.checks(from, count)
    }

    /// Notes what was found at an address: a publisher that was alive and refuses is removed.
    pub(super) fn note(&mut self, check: &Check, found: Probe) {
        if let Some((topic, node)) = self.table.note(check, found) {
            tracing::info!(topic, node, path = %check.path.display(), "a publisher is gone");
        }
    }

    /// What another daemon needs to go on from here; `None` for nothing.
    pub(super) fn snapshot(&self) -> Option<Vec<u8>> {
        let worth = self.table.iter().filter(|(_, entry)| entry.was_alive || entry.lease.is_some());
        state::encode(worth)
    }

    /// Takes over what another daemon knew.
    pub(super) fn restore(&mut self, entries: Vec<(String, Entry)>, now: Instant) {
        for (name, entry) in entries {
            if let Err(error) = self.table.insert(&name, entry, now) {
                tracing::warn!(topic = name, ?error, "not taken over");
            }
        }
    }

    fn register(&mut self, now: Instant, origin: Origin, request: &Request<'_>, out: &mut Vec<u8>) {
        let Some(info) = request.topic_info else {
            return self.respond(Status::Error, "Missing topic info", out);
        };
        if info.name.is_empty() || info.name.len() > MAX_TEXT_LEN {
            return self.respond(Status::Error, "Topic name is empty or too long", out);
        }
        let TopicInfo { address, message_type, publisher_node, .. } = info;
        if [address, message_type, publisher_node].iter().any(|text| text.len() > MAX_TEXT_LEN) {
            return self.respond(Status::Error, "Topic info is too long", out);
        }
        match self.table.insert(info.name, Entry::new(&info, request.ext, origin), now) {
            Ok(()) => self.respond(Status::Ok, &format!("Registered topic: {}", info.name), out),
            Err(Refused::Full) => self.respond(Status::Error, "Too many topics", out),
            Err(Refused::Taken(owner)) => {
                let message = format!("Topic {} already registered by {owner}", info.name);
                self.respond(Status::AlreadyExists, &message, out);
            }
        }
    }

    fn unregister(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        let Some(name) = name_of(request) else {
            return self.respond(Status::Error, "Missing topic name", out);
        };
        // A Rust node says which one it means, so that it does not take away its successor's. Who
        // names only the topic, as Python does, means all of it.
        let removed = self.table.remove(name, |entry| {
            request.topic_info.is_none_or(|info| {
                entry.publisher_node == info.publisher_node && entry.address == info.address
            })
        });
        if removed > 0 {
            self.respond(Status::Ok, &format!("Unregistered topic: {name}"), out);
        } else {
            self.respond(Status::NotFound, &format!("Topic {name} not found"), out);
        }
    }

    fn look_up(&self, request: &Request<'_>, out: &mut Vec<u8>) {
        let Some(name) = name_of(request) else {
            return self.respond(Status::Error, "Missing topic name", out);
        };
        let mut publishers = self.table.publishers(name);
        let several = publishers.len() > 1;
        let Some(first) = publishers.next() else {
            return self.respond(Status::NotFound, &format!("Topic {name} not found"), out);
        };
        let all: Vec<_> = match several {
            true => self.table.publishers(name).map(|entry| entry.info(name)).collect(),
            false => Vec::new(),
        };
        let response = Response {
            topic_info: Some(first.info(name)),
            topics: Topics::from(&all[..]),
            ext: ResponseExt { layout: first.layout, ..self.ext() },
            ..Response::new(Status::Ok, "")
        };
        write(&response, out);
    }

    fn list(&self, out: &mut Vec<u8>) {
        let topics: Vec<_> =
            self.table.first_publishers().map(|(name, entry)| entry.info(name)).collect();
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
    use crate::wire::discovery::RequestExt;

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
        let _ = registry.answer(Instant::now(), Origin::Local, &body, out);
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
            assert_eq!(
                registry.answer(Instant::now(), Origin::Local, body, out),
                Verdict::Continue
            );
            let response = Response::decode(out).unwrap();
            assert_eq!(response.status, Status::Error);
            assert!(!response.message.is_empty());
        }
        for command in [Command::RegisterTopic, Command::LookupTopic, Command::UnregisterTopic] {
            assert_eq!(ask(&mut registry, &Request::new(command), out).status, Status::Error);
        }
    }

    #[test]
    fn shutdown_is_obeyed_over_a_unix_socket_and_refused_over_tcp() {
        let mut body = [0; 64];
        let body = Request::new(Command::Shutdown).encode(&mut body).unwrap();
        let mut out = Vec::new();
        let mut registry = Registry::new(1);
        let now = Instant::now();
        assert_eq!(registry.answer(now, Origin::Remote, body, &mut out), Verdict::Continue);
        assert_eq!(Response::decode(&out).unwrap().status, Status::Error);
        assert_eq!(registry.answer(now, Origin::Local, body, &mut out), Verdict::Shutdown);
        assert_eq!(Response::decode(&out).unwrap().status, Status::Ok);
    }

    fn with(request: Request<'_>, ext: RequestExt) -> Request<'_> {
        Request { ext, ..request }
    }

    const SHARED: RequestExt = RequestExt { layout: Some(9), lease_ms: None, shared: true };

    #[test]
    fn a_shared_topic_has_several_publishers() {
        let mut registry = Registry::new(1);
        let out = &mut Vec::new();
        let other = TopicInfo { publisher_node: "b", address: "ipc:///tmp/b", ..INFO };
        let ok = |registry: &mut Registry, request: Request<'_>, out: &mut Vec<u8>| {
            assert_eq!(ask(registry, &request, out).status, Status::Ok);
        };
        ok(&mut registry, with(register(INFO), SHARED), out);
        let alone = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
        assert_eq!((alone.topic_info, alone.topics.len()), (Some(INFO), 0));
        // All or none.
        let response = ask(&mut registry, &register(other), out);
        assert_eq!(response.status, Status::AlreadyExists);
        ok(&mut registry, with(register(other), SHARED), out);
        let response = ask(&mut registry, &register(INFO), out);
        assert_eq!(response.status, Status::AlreadyExists);
        let found = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
        assert_eq!((found.topic_info, found.ext.layout), (Some(INFO), Some(9)));
        assert!(found.topics.into_iter().eq([INFO, other]));
        // Python sees one of them.
        let listed = ask(&mut registry, &Request::new(Command::ListTopics), out);
        assert!(listed.topics.into_iter().eq([INFO]));
        // Who registers again keeps its place; who leaves takes nobody along.
        let moved = TopicInfo { address: "ipc:///tmp/c", ..INFO };
        ok(&mut registry, with(register(moved), SHARED), out);
        let named =
            |info| Request { topic_info: Some(info), ..about(Command::UnregisterTopic, "/t") };
        assert_eq!(ask(&mut registry, &named(INFO), out).status, Status::NotFound);
        let found = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
        assert!(found.topics.into_iter().eq([moved, other]));
        ok(&mut registry, named(moved), out);
        let found = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
        assert_eq!((found.topic_info, found.topics.len()), (Some(other), 0));
        // Who names the topic alone means all of it.
        ok(&mut registry, with(register(INFO), SHARED), out);
        ok(&mut registry, about(Command::UnregisterTopic, "/t"), out);
        assert_eq!(registry.topic_count(), 0);
    }

    #[test]
    fn a_lease_ends_unless_it_is_renewed_and_only_for_who_asked_for_one() {
        let mut registry = Registry::new(1);
        let out = &mut Vec::new();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let leased = RequestExt { lease_ms: Some(1000), ..RequestExt::default() };
        let python = TopicInfo { name: "/python", ..INFO };
        let mut tell = |registry: &mut Registry, now, request: &Request<'_>| {
            let mut body = Vec::new();
            fill(&mut body, |out| request.encode(out).map(<[u8]>::len)).unwrap();
            let _ = registry.answer(now, Origin::Remote, &body, out);
        };
        tell(&mut registry, at(0), &with(register(INFO), leased));
        tell(&mut registry, at(0), &register(python));
        assert_eq!(registry.expire(at(999)), 0);
        tell(&mut registry, at(999), &with(register(INFO), leased));
        assert_eq!((registry.expire(at(1998)), registry.topic_count()), (0, 2));
        registry.extend_leases(Duration::from_secs(1));
        assert_eq!((registry.expire(at(2998)), registry.topic_count()), (0, 2));
        assert_eq!((registry.expire(at(2999)), registry.topic_count()), (1, 1));
        assert_eq!(registry.expire(at(1_000_000_000)), 0);
        // Said again without a lease, it stays.
        tell(&mut registry, at(0), &with(register(INFO), leased));
        tell(&mut registry, at(1), &register(INFO));
        assert_eq!((registry.expire(at(1_000_000_000)), registry.topic_count()), (0, 2));
    }

    #[test]
    fn a_hundred_thousand_malformed_requests_are_answered_and_change_nothing() {
        let mut registry = Registry::new(1);
        let out = &mut Vec::new();
        ask(&mut registry, &register(INFO), out);
        let mut good = Vec::new();
        let request = with(register(INFO), SHARED);
        fill(&mut good, |out| request.encode(out).map(<[u8]>::len)).unwrap();
        // Xorshift: the same bytes each time.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
        };
        let now = Instant::now();
        for round in 0..100_000 {
            let mut body = good.clone();
            match round % 3 {
                // Cut off, so never whole.
                0 => body.truncate(random(good.len())),
                // A marker that is none in front, or something behind the end.
                1 => body.insert(if random(2) == 0 { 0 } else { body.len() }, 0xc1),
                _ => {
                    body = (0..random(64)).map(|_| random(256) as u8).collect();
                    body.push(0xc1);
                }
            }
            let origin = if round % 2 == 0 { Origin::Local } else { Origin::Remote };
            assert_eq!(registry.answer(now, origin, &body, out), Verdict::Continue, "{body:x?}");
            let response = Response::decode(out).unwrap();
            assert_eq!(response.status, Status::Error, "{body:x?}");
        }
        let found = ask(&mut registry, &about(Command::LookupTopic, "/t"), out);
        assert_eq!((found.topic_info, found.ext.layout), (Some(INFO), None));
        assert_eq!(registry.topic_count(), 1);
    }

    #[test]
    fn texts_that_are_too_long_are_refused() {
        let mut registry = Registry::new(1);
        let out = &mut Vec::new();
        let long = &*"x".repeat(MAX_TEXT_LEN + 1);
        for info in [
            TopicInfo { name: "", ..INFO },
            TopicInfo { name: long, ..INFO },
            TopicInfo { address: long, ..INFO },
            TopicInfo { message_type: long, ..INFO },
            TopicInfo { publisher_node: long, ..INFO },
        ] {
            assert_eq!(ask(&mut registry, &register(info), out).status, Status::Error);
        }
        assert_eq!(registry.topic_count(), 0);
    }
}
