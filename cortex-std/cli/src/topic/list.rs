//! `cortex topic list`.

use clap::Args;
use cortex_std::discovery::Topic;
use serde_json::{Value as Json, json};

use crate::failure::{Outcome, Result};
use crate::message::fingerprint_text;
use crate::output::{Paint, columns, safe, say, say_json};
use crate::session::{Session, by_name};

/// List the topics that the daemon knows.
///
/// Names alone, one a line, for pipes; --show-types adds the type and the node of each, and
/// --verbose the address as well.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex topic list\n  cortex topic list -t\n  \
    cortex topic list --json | jq -r .address\n  cortex topic list --count-topics")]
pub(crate) struct List {
    /// Show the type and the publishing node as well.
    #[arg(short = 't', long)]
    show_types: bool,
    /// Show addresses as well.
    #[arg(short, long)]
    verbose: bool,
    /// Show only how many there are.
    #[arg(short, long)]
    count_topics: bool,
}

impl List {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let topics = session.topics()?;
        if self.count_topics {
            let count = by_name(&topics).count();
            match session.json {
                true => say_json(&json!({ "topics": count }))?,
                false => say(&count.to_string())?,
            }
            return Ok(Outcome::Found);
        }
        if session.json {
            topics.iter().try_for_each(|topic| say_json(&to_json(topic)))?;
            return Ok(Outcome::Found);
        }
        let paint = Paint::stdout();
        // Names once, publishers each.
        let is_long = self.show_types || self.verbose;
        let rows: Vec<_> = by_name(&topics)
            .flat_map(|publishers| if is_long { publishers } else { &publishers[..1] })
            .map(|topic| {
                let mut row =
                    [paint.name(&safe(&topic.name)), String::new(), String::new(), String::new()];
                if is_long {
                    row[1] = paint.key(&safe(&topic.message_type));
                    row[2] = safe(&topic.publisher_node);
                }
                if self.verbose {
                    row[3] = paint.faint(&safe(&topic.address));
                }
                row
            })
            .collect();
        columns(&rows).iter().try_for_each(|line| say(line))?;
        Ok(Outcome::Found)
    }
}

/// A topic as all commands describe it.
pub(crate) fn to_json(topic: &Topic) -> Json {
    json!({
        "name": topic.name,
        "message_type": topic.message_type,
        "fingerprint": fingerprint_text(topic.fingerprint),
        "publisher_node": topic.publisher_node,
        "address": topic.address,
    })
}
