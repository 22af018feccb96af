//! `cortex topic type`.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use crate::candidates;
use crate::failure::{Outcome, Result};
use crate::output::{escaped, print, print_json};
use crate::session::Session;

/// Show the type of a topic.
///
/// The type is the name of the class without its module, as the publisher registered it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex topic type /cam/frame")]
pub(crate) struct TypeOf {
    /// Name of the topic.
    #[arg(value_parser = crate::input::topic_name, add = ArgValueCandidates::new(candidates::topics))]
    topic: String,
}

impl TypeOf {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let topic = session.topic(&self.topic)?.topic;
        match session.json {
            true => print_json(&json!({ "name": topic.name, "message_type": topic.message_type }))?,
            false => print(&escaped(&topic.message_type))?,
        }
        Ok(Outcome::Found)
    }
}
