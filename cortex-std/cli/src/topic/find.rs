//! `cortex topic find`.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use crate::candidates;
use crate::failure::{Outcome, Result};
use crate::listing::{self, by_name};
use crate::output::{escaped, print, print_json};
use crate::session::Session;
use crate::types;

/// List the topics of a type.
///
/// TYPE is a class name with or without its module: cortex.messages.standard.ImageMessage or
/// ImageMessage. Exit code 1 if no topic has this type.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex topic find ImageMessage")]
pub(crate) struct Find {
    /// Name of the type.
    #[arg(value_name = "TYPE", add = ArgValueCandidates::new(candidates::types))]
    ty: String,
}

impl Find {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let bare = types::bare_name(&self.ty);
        let mut topics = session.topics()?;
        topics.retain(|topic| topic.message_type == bare);
        match session.json {
            true => topics.iter().try_for_each(|topic| print_json(&listing::to_json(topic)))?,
            false => {
                by_name(&topics).try_for_each(|publishers| print(&escaped(&publishers[0].name)))?
            }
        }
        Ok(Outcome::found_if(!topics.is_empty()))
    }
}
