//! The registrations of a daemon: a state machine from time and request to response, without sockets or
//! clocks.

mod origin;
pub(super) mod snapshot;
pub(super) mod table;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::discovery::body::encode_body;
use crate::discovery::diagnosis::{is_loopback, loopback_reason};
use crate::endpoint::Probe;
use crate::log::ErrorChain;
use crate::wire::DecodeError;
use crate::wire::discovery::{Command, Request, Response, ResponseExt, Status, TopicInfo, Topics};

pub use origin::Origin;

use table::{Check, Entry, MAX_TEXT_LEN, Refused, Table};

/// What the daemon does after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Verdict {
    /// Continue.
    Continue,
    /// Shut down: an authorised client sent SHUTDOWN.
    Shutdown,
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
    /// Whether other machines use this daemon.
    serves_network: bool,
}

impl Registry {
    /// An empty registry. `epoch` is a number that no earlier daemon had: clients detect by it that
    /// this daemon may not have their registrations.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Self { epoch, table: Table::default(), serves_network: false }
    }

    /// Expects clients on other machines: addresses that they cannot reach are logged.
    pub(super) fn serve_network(&mut self) {
        self.serves_network = true;
    }

    /// The number of registered topics.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.table.len()
    }

    /// Processes a request body received at `now`; `out` then holds the response body.
    ///
    /// Every body gets a response: a malformed one gets `ERROR` with the reason.
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

    /// Removes the registrations whose lease has ended by `now`; returns how many.
    pub fn expire(&mut self, now: Instant) -> usize {
        let ended = self.table.expire(now);
        for (topic, node) in &ended {
            tracing::info!(topic, node, "removed a registration whose lease ended");
        }
        ended.len()
    }

    /// Extends every lease by the time in which no client could renew it.
    pub(super) fn extend_leases(&mut self, by: Duration) {
        self.table.extend_leases(by);
    }

    /// Grows with every change that the next daemon needs.
    pub(super) fn version(&self) -> u64 {
        self.table.version()
    }

    /// Whether there are addresses to probe now.
    pub(super) fn is_urgent(&self) -> bool {
        self.table.is_urgent()
    }

    /// Addresses to probe now.
    pub(super) fn take_urgent(&mut self) -> Vec<Check> {
        self.table.take_urgent()
    }

    /// Addresses to probe in rotation: those of at most `count` topics from index `from` on.
    pub(super) fn checks(&self, from: usize, count: usize) -> Vec<Check> {
        self.table.checks(from, count)
    }

    /// Records the result of a probe: a publisher that was alive and refuses connections is removed.
    pub(super) fn record_probe(&mut self, check: &Check, found: Probe) {
        if let Some((topic, node)) = self.table.record_probe(check, found) {
            tracing::info!(topic, node, path = %check.path.display(), "removed a publisher whose socket refuses connections");
        }
    }

    /// What the next daemon needs to continue; `None` for nothing.
    pub(super) fn snapshot(&self) -> Option<Vec<u8>> {
        let entries =
            self.table.iter().filter(|(_, entry)| entry.was_alive || entry.lease.is_some());
        snapshot::encode(entries)
    }

    /// Takes over the registrations of an earlier daemon.
    pub(super) fn restore(&mut self, entries: Vec<(String, Entry)>, now: Instant) {
        for (name, entry) in entries {
            if let Err(error) = self.table.insert(&name, entry, now) {
                tracing::warn!(topic = name, ?error, "cannot take over a registration");
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
        let previous = self.table.publishers(info.name);
        let previous: Vec<_> = previous
            .filter(|entry| entry.publisher_node == publisher_node)
            .map(|entry| entry.address.clone())
            .collect();
        let inserted = self.table.insert(info.name, Entry::new(&info, request.ext, origin), now);
        if inserted.is_ok() && !previous.iter().any(|previous| previous == address) {
            self.warn_of_address(&info, previous.first().map(String::as_str));
        }
        match inserted {
            Ok(()) => self.respond(Status::Ok, &format!("Registered topic: {}", info.name), out),
            Err(Refused::Full) => self.respond(Status::Error, "Too many topics", out),
            Err(Refused::Taken(owner)) => {
                let message = format!("Topic {} already registered by {owner}", info.name);
                self.respond(Status::AlreadyExists, &message, out);
            }
        }
    }

    /// Logs what is probably wrong with an address that is new.
    fn warn_of_address(&self, info: &TopicInfo<'_>, previous: Option<&str>) {
        let TopicInfo { name: topic, address, publisher_node: node, .. } = *info;
        if self.serves_network && is_loopback(address) {
            let reason = loopback_reason(address);
            tracing::warn!(topic, node, reason, "other machines cannot reach a publisher");
        }
        let host = |address: &str| {
            let place = address.strip_prefix("tcp://")?;
            place.rsplit_once(':').map(|(host, _)| host.to_owned())
        };
        if let Some(previous) = previous
            && let (Some(before), Some(now)) = (host(previous), host(address))
            && before != now
        {
            tracing::warn!(
                topic,
                node,
                previous,
                address,
                "a node of this name on another machine took over the topic: if both run, give each its own name"
            );
        }
    }

    fn unregister(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        let Some(name) = name_of(request) else {
            return self.respond(Status::Error, "Missing topic name", out);
        };
        // A Rust node names its registration, so that it does not remove its successor's. A client that
        // names only the topic, as Python's does, removes all of them.
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

/// The topic of a request; some clients name it in the topic information only.
fn name_of<'a>(request: &Request<'a>) -> Option<&'a str> {
    request.topic_name.or(request.topic_info.map(|info| info.name))
}

fn write(response: &Response<'_>, out: &mut Vec<u8>) {
    if let Err(error) = encode_body(out, |out| response.encode(out).map(<[u8]>::len)) {
        // Only strings of gigabytes fail, and a request is limited to megabytes.
        tracing::error!(error = %ErrorChain(&error), "cannot encode a response");
        out.clear();
    }
}
