//! The board as a node of the graph: registers and republishes its topics under its name.

use std::collections::HashMap;
use std::time::Duration;

use cortex_std::raw::{RawOptions, RawPublisher};
use cortex_std::wire::link::{Direction, Hello};
use cortex_std::wire::{Header, Multipart};
use cortex_std::{CreateError, Node, Published};

use crate::output::print_stderr;
use crate::time::wall_ns;
use cortex_std::ErrorChain;

/// How long republishing waits for room in a queue: messages of a board arrive in bursts. A subscriber that
/// stays slow delays the board once, not for each message.
const BURST_TIMEOUT: Duration = Duration::from_millis(20);

/// The result of republishing a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Republished {
    Published,
    /// Published, but dropped for a subscriber whose queue is full.
    Congested,
    /// The hello of the board does not list the topic as published.
    UnknownTopic,
    /// The publisher returned an error, which is logged.
    Failed,
}

/// Type and fingerprint of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TopicType {
    message_type: String,
    fingerprint: u64,
}

/// The board as a node of the graph. The node outlives a connection: when the board returns, its
/// topics still have their addresses.
#[derive(Debug)]
pub(super) struct Board {
    discovery: String,
    // Dropped before the node.
    topics: HashMap<String, (TopicType, RawPublisher)>,
    node: Option<Node>,
}

impl Board {
    pub(super) fn new(discovery: &str) -> Self {
        Self { discovery: discovery.to_owned(), topics: HashMap::new(), node: None }
    }

    /// The name of the board, after its first hello.
    pub(super) fn name(&self) -> Option<&str> {
        self.node.as_ref().map(Node::name)
    }

    /// Registers the topics that a hello lists as published, and unregisters all others. A failure is
    /// reported only for a new hello, and retried at each one.
    pub(super) fn update(&mut self, hello: &Hello<'_>, is_new: bool) {
        if self.name() != Some(hello.node) {
            self.topics.clear();
            self.node = None;
            match Node::builder(hello.node).discovery(&self.discovery).create() {
                Ok(node) => self.node = Some(node),
                Err(error) => {
                    if is_new {
                        let error = ErrorChain(&error).to_string();
                        let node = hello.node;
                        print_stderr(&format!("cortex: cannot create node {node:?}: {error}"));
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
                    let kind = TopicType {
                        message_type: topic.message_type.to_owned(),
                        fingerprint: topic.fingerprint,
                    };
                    self.topics.insert(topic.name.to_owned(), (kind, publisher));
                }
                Ok(None) => {}
                Err(error) if is_new => {
                    let error = ErrorChain(&error).to_string();
                    let name = topic.name;
                    print_stderr(&format!("cortex: cannot republish {name:?}: {error}"));
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
        let options = RawOptions::default().block_for(BURST_TIMEOUT);
        node.raw_publisher_with(name, message_type, fingerprint, &options).map(Some)
    }

    /// Republishes a message of the board; a timestamp of 0 becomes the current time.
    pub(super) fn publish(&self, message: &Multipart<'_>) -> Republished {
        let topic = std::str::from_utf8(message.topic()).ok();
        let Some((_, publisher)) = topic.and_then(|topic| self.topics.get(topic)) else {
            return Republished::UnknownTopic;
        };
        let mut frames: Vec<&[u8]> = message.frames().collect();
        let stamped = frames.get(1).and_then(|frame| stamped(frame, wall_ns()));
        if let (Some(frame), Some(stamped)) = (frames.get_mut(1), &stamped) {
            *frame = stamped;
        }
        match publisher.send(&frames) {
            Ok(Published::Congested) => Republished::Congested,
            Ok(_) => Republished::Published,
            Err(error) => {
                tracing::warn!(topic, error = %ErrorChain(&error), "cannot republish a message of the board");
                Republished::Failed
            }
        }
    }
}

/// A header, or a blob that begins with one, with its timestamp set; `None` if it has a timestamp.
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
