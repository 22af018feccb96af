//! `cortex topic list`.

use clap::Args;
use serde_json::json;

use crate::failure::{Outcome, Result};
use crate::listing::{self, by_name};
use crate::output::{Paint, columns, escaped, print, print_json};
use crate::session::Session;

/// List the registered topics.
///
/// By default prints only names, one per line, for pipes; --show-types adds type and node, and
/// --verbose also the address.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex topic list\n  cortex topic list -t\n  \
    cortex topic list --json | jq -r .address\n  cortex topic list --count-topics")]
pub(crate) struct List {
    /// Show also the type and the publishing node.
    #[arg(short = 't', long)]
    show_types: bool,
    /// Show also the type, the publishing node and the address.
    #[arg(short, long)]
    verbose: bool,
    /// Show only the number of topics.
    #[arg(short, long)]
    count_topics: bool,
}

impl List {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let topics = session.topics()?;
        if self.count_topics {
            let count = by_name(&topics).count();
            match session.json {
                true => print_json(&json!({ "topics": count }))?,
                false => print(&count.to_string())?,
            }
            return Ok(Outcome::Found);
        }
        if session.json {
            topics.iter().try_for_each(|topic| print_json(&listing::to_json(topic)))?;
            return Ok(Outcome::Found);
        }
        let paint = Paint::stdout();
        // The long forms have a line for each publisher, the short one for each topic.
        let is_long = self.show_types || self.verbose;
        let rows: Vec<_> = by_name(&topics)
            .flat_map(|publishers| if is_long { publishers } else { &publishers[..1] })
            .map(|topic| {
                let mut row = [
                    paint.name(&escaped(&topic.name)),
                    String::new(),
                    String::new(),
                    String::new(),
                ];
                if is_long {
                    row[1] = paint.key(&escaped(&topic.message_type));
                    row[2] = escaped(&topic.publisher_node);
                }
                if self.verbose {
                    row[3] = paint.faint(&escaped(&topic.address));
                }
                row
            })
            .collect();
        columns(&rows).iter().try_for_each(|line| print(line))?;
        Ok(Outcome::Found)
    }
}
