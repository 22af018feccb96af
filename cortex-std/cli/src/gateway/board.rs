//! The board's node here: its topics, registered under its name.

use std::collections::HashMap;

use cortex_std::raw::RawPublisher;
use cortex_std::wire::link::{Direction, Hello};
use cortex_std::wire::{Header, Multipart};
use cortex_std::{CreateError, Node};

use crate::failure::with_sources;
use crate::output::note;
use crate::tap::wall_ns;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was republished.
    Published,
    /// The board has not said that it publishes this topic.
    Unknown,
    /// It was not taken.
    Failed,
}

/// Type and fingerprint of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind {
    message_type: String,
    fingerprint: u64,
}

/// The board as a node of the graph. It stays when the board is gone: its topics are where they were
/// when it comes back.
#[derive(Debug)]
pub(super) struct Board {
    discovery: String,
    // Publishers end before their node.
    topics: HashMap<String, (Kind, RawPublisher)>,
    node: Option<Node>,
}

impl Board {
    pub(super) fn new(discovery: &str) -> Self {
        Self { discovery: discovery.to_owned(), topics: HashMap::new(), node: None }
    }

    /// Its name, once it has said it.
    pub(super) fn name(&self) -> Option<&str> {
        self.node.as_ref().map(Node::name)
    }

    /// Registers what it says that it publishes, and nothing else; what does not work is told when it
    /// says so for the first time, and tried again whenever it says it.
    pub(super) fn hello(&mut self, hello: &Hello<'_>, is_new: bool) {
        if self.name() != Some(hello.node) {
            self.topics.clear();
            self.node = None;
            match Node::builder(hello.node).discovery(&self.discovery).build() {
                Ok(node) => self.node = Some(node),
                Err(error) => {
                    if is_new {
                        let error = with_sources(&error);
                        note(&format!("cortex: {:?} cannot be a node: {error}", hello.node));
                    }
                    return;
                }
            }
        }
        let published =
            |topic: &cortex_std::wire::link::Topic<'_>| topic.direction == Direction::Published;
        self.topics.retain(|name, (kind, _)| {
            hello.topics.into_iter().filter(published).any(|topic| {
                topic.name == name
                    && topic.message_type == kind.message_type
                    && topic.fingerprint == kind.fingerprint
            })
        });
        for topic in hello.topics.into_iter().filter(published) {
            if self.topics.contains_key(topic.name) {
                continue;
            }
            match self.publisher(topic.name, topic.message_type, topic.fingerprint) {
                Ok(Some(publisher)) => {
                    let kind = Kind {
                        message_type: topic.message_type.to_owned(),
                        fingerprint: topic.fingerprint,
                    };
                    self.topics.insert(topic.name.to_owned(), (kind, publisher));
                }
                Ok(None) => {}
                Err(error) if is_new => {
                    let error = with_sources(&error);
                    note(&format!("cortex: {:?} is not republished: {error}", topic.name));
                }
                Err(_) => {}
            }
        }
    }

    fn publisher(
        &self,
        name: &str,
        message_type: &str,
        fingerprint: u64,
    ) -> Result<Option<RawPublisher>, CreateError> {
        let Some(node) = &self.node else { return Ok(None) };
        node.raw_publisher(name, message_type, fingerprint).map(Some)
    }

    /// Republishes a message.
    pub(super) fn publish(&self, message: &Multipart<'_>) -> Fate {
        let topic = std::str::from_utf8(message.topic()).ok();
        let Some((_, publisher)) = topic.and_then(|topic| self.topics.get(topic)) else {
            return Fate::Unknown;
        };
        let mut frames: Vec<&[u8]> = message.frames().collect();
        let stamped = frames.get(1).and_then(|frame| stamped(frame, wall_ns()));
        if let (Some(frame), Some(stamped)) = (frames.get_mut(1), &stamped) {
            *frame = stamped;
        }
        match publisher.send(&frames) {
            Ok(_) => Fate::Published,
            Err(error) => {
                tracing::warn!(topic, %error, "not republished");
                Fate::Failed
            }
        }
    }
}

/// A header, or a blob that begins with one, with another timestamp; `None` where it has one.
fn stamped(frame: &[u8], now_ns: u64) -> Option<Vec<u8>> {
    let (header, rest) = frame.split_first_chunk::<{ Header::LEN }>()?;
    let mut header = Header::decode(header).ok()?;
    if header.timestamp_ns != 0 {
        return None;
    }
    header.timestamp_ns = now_ns;
    Some([&header.encode(), rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_timestamp_of_zero_is_replaced() {
        let header = Header { fingerprint: 1, timestamp_ns: 0, sequence: 3 };
        let now = Header { timestamp_ns: 9, ..header };
        assert_eq!(stamped(&header.encode(), 9), Some(now.encode().to_vec()));
        assert_eq!(stamped(&now.encode(), 11), None);
        let blob = [&header.encode()[..], b"blob"].concat();
        assert_eq!(stamped(&blob, 9), Some([&now.encode()[..], b"blob"].concat()));
        assert_eq!(stamped(b"short", 9), None);
    }
}
