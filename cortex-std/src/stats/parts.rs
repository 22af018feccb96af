//! What a node lists of its publishers and subscribers.

/// A publisher of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublisherInfo {
    /// The topic.
    pub topic: String,
    /// The bare name of the message class.
    pub message_type: &'static str,
    /// The address that subscribers connect to.
    pub address: String,
}

/// A subscriber of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriberInfo {
    /// The topic.
    pub topic: String,
    /// The bare name of the message class.
    pub message_type: &'static str,
    /// The addresses of the publishers that it follows; none before one is found.
    pub publishers: Vec<String>,
}

/// The publishers and subscribers of a node.
#[derive(Debug, Default)]
pub(crate) struct NodeParts {
    pub(crate) publishers: Vec<PublisherInfo>,
    pub(crate) subscribers: Vec<SubscriberInfo>,
}
