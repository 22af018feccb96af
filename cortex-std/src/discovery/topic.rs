//! Topics as the daemon knows them.

use crate::wire::discovery::{Response, TopicInfo};

/// A topic and its publisher.
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
    /// The topic as it is encoded.
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

/// The result of looking a topic up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The topic, by its first publisher: the one that a Python subscriber sees.
    pub topic: Topic,
    /// Every publisher, the first one included: one, unless the topic is shared.
    pub publishers: Vec<Topic>,
    /// The layout hash of its messages, where its first publisher is a Rust node.
    pub layout: Option<u64>,
}

impl Found {
    /// From a daemon's response: the first publisher, and the list of all where there are several.
    pub(super) fn new(first: TopicInfo<'_>, response: &Response<'_>) -> Self {
        let topic = Topic::from(first);
        let mut publishers: Vec<Topic> = response
            .topics
            .into_iter()
            .filter(|other| other.name == topic.name)
            .map(Topic::from)
            .collect();
        if !publishers.contains(&topic) {
            publishers.insert(0, topic.clone());
        }
        Self { topic, publishers, layout: response.ext.layout }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::discovery::{Status, Topics};

    #[test]
    fn the_first_publisher_is_among_all_whatever_the_daemon_lists() {
        let first = TopicInfo {
            name: "/t",
            address: "ipc://a",
            message_type: "StringMessage",
            fingerprint: 1,
            publisher_node: "a",
        };
        let second = TopicInfo { address: "ipc://b", publisher_node: "b", ..first };
        let stray = TopicInfo { name: "/u", ..first };
        for (listed, expected) in [
            (&[][..], &[first][..]),
            (&[first, second], &[first, second]),
            (&[second], &[first, second]),
            (&[stray], &[first]),
        ] {
            let topics = Topics::from(listed);
            let response = Response { topics, ..Response::new(Status::Ok, "") };
            let found = Found::new(first, &response);
            assert_eq!(found.topic, Topic::from(first));
            assert!(found.publishers.iter().map(Topic::info).eq(expected.iter().copied()));
        }
    }
}
