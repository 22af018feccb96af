//! The publishers and subscribers of a node.

use super::Node;
use crate::stats::parts::{PublisherInfo, SubscriberInfo};

impl Node {
    /// The typed publishers that exist, sorted by topic.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cortex_std::{Node, wire::StringMessage};
    /// # let folder = tempfile::tempdir()?;
    /// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
    /// let node = Node::builder("talker").discovery(&address).create()?;
    /// let _notes = node.publisher::<StringMessage>("/notes").create()?;
    /// for publisher in node.publishers() {
    ///     println!("{} {} at {}", publisher.topic, publisher.message_type, publisher.address);
    /// }
    /// assert!(node.find_publisher("/notes").is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn publishers(&self) -> Vec<PublisherInfo> {
        self.runtime.stats.parts().publishers
    }

    /// The typed publisher of a topic.
    #[must_use]
    pub fn find_publisher(&self, topic: &str) -> Option<PublisherInfo> {
        self.publishers().into_iter().find(|publisher| publisher.topic == topic)
    }

    /// The subscribers that exist, sorted by topic; of one topic in order of creation.
    #[must_use]
    pub fn subscribers(&self) -> Vec<SubscriberInfo> {
        self.runtime.stats.parts().subscribers
    }

    /// The first subscriber to a topic.
    #[must_use]
    pub fn find_subscriber(&self, topic: &str) -> Option<SubscriberInfo> {
        self.subscribers().into_iter().find(|subscriber| subscriber.topic == topic)
    }
}
