//! The topics that a node publishes without a socket file.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::CreateError;
use crate::mutex::Mutex;

/// The topics of a node's publishers over tcp and inproc. Over ipc the socket file shows the same.
#[derive(Debug, Default)]
pub(crate) struct PublishedTopics(Mutex<HashSet<String>>);

impl PublishedTopics {
    /// Reserves a topic until the result is dropped.
    ///
    /// # Errors
    ///
    /// `AlreadyPublished`.
    pub(crate) fn reserve(self: &Arc<Self>, topic: &str) -> Result<PublishedTopic, CreateError> {
        if self.0.lock().insert(topic.to_owned()) {
            Ok(PublishedTopic { topics: Arc::clone(self), topic: topic.to_owned() })
        } else {
            Err(CreateError::AlreadyPublished { topic: topic.to_owned() })
        }
    }
}

/// A reserved topic.
#[derive(Debug)]
pub(crate) struct PublishedTopic {
    topics: Arc<PublishedTopics>,
    topic: String,
}

impl Drop for PublishedTopic {
    fn drop(&mut self) {
        self.topics.0.lock().remove(&self.topic);
    }
}
