//! `cortex topic find`.

use clap::Args;

use crate::failure::{Outcome, Result};
use crate::output::{safe, say, say_json};
use crate::session::Session;
use crate::types;

use super::list;

/// List the topics of a type.
///
/// The type is its bare name (ImageMessage) or its full one (cortex.messages.standard.ImageMessage).
/// Exit code 1 where there is none.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex topic find ImageMessage")]
pub(crate) struct Find {
    /// The name of the type.
    #[arg(value_name = "TYPE")]
    ty: String,
}

impl Find {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let bare = types::bare_name(&self.ty);
        let mut is_found = false;
        for topic in session.topics()?.iter().filter(|topic| topic.message_type == bare) {
            is_found = true;
            match session.json {
                true => say_json(&list::to_json(topic))?,
                false => say(&safe(&topic.name))?,
            }
        }
        Ok(Outcome::found_if(is_found))
    }
}
