//! `cortex topic find`.

use clap::Args;

use crate::failure::{Outcome, Result};
use crate::output::{safe, say, say_json};
use crate::session::{Session, by_name};
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
        let mut topics = session.topics()?;
        topics.retain(|topic| topic.message_type == bare);
        match session.json {
            true => topics.iter().try_for_each(|topic| say_json(&list::to_json(topic)))?,
            false => by_name(&topics).try_for_each(|publishers| say(&safe(&publishers[0].name)))?,
        }
        Ok(Outcome::found_if(!topics.is_empty()))
    }
}
