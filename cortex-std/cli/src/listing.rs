//! The topics that the daemon lists, by name, and as JSON.

use cortex_std::discovery::{Client, DiscoveryError, Topic};
use serde_json::{Value as Json, json};

use crate::message::fingerprint_text;

/// All topics sorted by name; a shared topic has one entry for each of its publishers.
///
/// # Errors
/// If the daemon does not answer.
pub(crate) fn topics(client: &mut Client) -> Result<Vec<Topic>, DiscoveryError> {
    let mut topics = client.list()?;
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    // A daemon without an epoch is the Python one, which has no shared topics.
    if client.epoch().is_none() {
        return Ok(topics);
    }
    let mut all = Vec::with_capacity(topics.len());
    for topic in topics {
        // The list holds only the first publisher, which may have unregistered meanwhile.
        if let Some(found) = client.look_up(&topic.name)? {
            all.extend(found.publishers);
        }
    }
    Ok(all)
}

/// The publishers of each topic, of topics sorted by name.
pub(crate) fn by_name(topics: &[Topic]) -> impl Iterator<Item = &[Topic]> {
    topics.chunk_by(|a, b| a.name == b.name)
}

/// The JSON object of a topic, which is the same for all verbs.
pub(crate) fn to_json(topic: &Topic) -> Json {
    json!({
        "name": topic.name,
        "message_type": topic.message_type,
        "fingerprint": fingerprint_text(topic.fingerprint),
        "publisher_node": topic.publisher_node,
        "address": topic.address,
    })
}
