//! `cortex topic type`.

use clap::Args;
use serde_json::json;

use crate::failure::{Outcome, Result};
use crate::output::{safe, say, say_json};
use crate::session::Session;

/// Tell the type of a topic.
///
/// It is the bare name of the class, as the publisher registered it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex topic type /cam/frame")]
pub(crate) struct TypeOf {
    /// The topic.
    topic: String,
}

impl TypeOf {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let topic = session.topic(&self.topic)?.topic;
        match session.json {
            true => say_json(&json!({ "name": topic.name, "message_type": topic.message_type }))?,
            false => say(&safe(&topic.message_type))?,
        }
        Ok(Outcome::Found)
    }
}
