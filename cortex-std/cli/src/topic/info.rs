//! `cortex topic info`.

use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use cortex_std::discovery::{Found, Topic, unreachable_publisher};
use cortex_std::wire::standard::TYPES;
use cortex_std::wire::{FieldInfo, find_type};
use serde_json::{Map, Value as Json, json};

use crate::candidates;
use crate::failure::{Outcome, Result};
use crate::listener::Listener;
use crate::listing;
use crate::message::fingerprint_text;
use crate::output::{Paint, columns, escaped, print, print_json};
use crate::session::Session;

/// Show the type, fields and publishers of a topic.
///
/// A publisher is shown with its node, its address, and whether a process listens there.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cortex topic info /cam/frame\n  cortex topic info --json /cam/frame"
)]
pub(crate) struct Info {
    /// Name of the topic.
    #[arg(value_parser = crate::input::topic_name, add = ArgValueCandidates::new(candidates::topics))]
    topic: String,
}

impl Info {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let Found { topic, publishers, .. } = session.topic(&self.topic)?;
        let info = find_type(TYPES, topic.fingerprint);
        let fields = info.map_or(&[][..], |info| info.fields);
        if session.json {
            let listener = Listener::at(&topic.address);
            let mut object = listing::to_json(&topic);
            object["class"] = json!(info.map(|info| info.class));
            let field = |field: &FieldInfo| {
                let mut object = Map::new();
                object.insert("name".to_owned(), json!(field.name));
                object.insert("type".to_owned(), json!(field.ty.as_str()));
                object.insert("optional".to_owned(), json!(field.optional));
                Json::Object(object)
            };
            object["fields"] = match info {
                Some(_) => fields.iter().map(field).collect(),
                None => Json::Null,
            };
            object["listening"] = json!(listener.is_alive());
            object["pid"] = json!(listener.pid());
            let publisher = |topic: &Topic| {
                let listener = Listener::at(&topic.address);
                json!({
                    "node": topic.publisher_node,
                    "address": topic.address,
                    "listening": listener.is_alive(),
                    "pid": listener.pid(),
                    "unreachable": unreachable_publisher(&session.discovery, &topic.address),
                })
            };
            object["publishers"] = publishers.iter().map(publisher).collect();
            print_json(&object)?;
            return Ok(Outcome::Found);
        }
        let paint = Paint::stdout();
        let row = |name: &str, text: String| [paint.key(name), text];
        let class = info.map_or_else(
            || {
                format!(
                    "{} {}",
                    escaped(&topic.message_type),
                    paint.faint("(not a standard message)")
                )
            },
            |info| info.class.to_owned(),
        );
        let mut rows = vec![
            row("topic", paint.name(&escaped(&topic.name))),
            row("type", class),
            row("fingerprint", fingerprint_text(topic.fingerprint)),
        ];
        for topic in &publishers {
            rows.push(row("node", escaped(&topic.publisher_node)));
            rows.push(row("address", escaped(&topic.address)));
            rows.push(row("listening", Listener::at(&topic.address).describe(paint)));
            if let Some(reason) = unreachable_publisher(&session.discovery, &topic.address) {
                rows.push(row("unreachable", paint.bad(&escaped(&reason))));
            }
        }
        for (at, field) in fields.iter().enumerate() {
            let name = if at == 0 { "fields" } else { "" };
            let mark = if field.optional { "?" } else { "" };
            rows.push(row(name, format!("{}: {}{mark}", field.name, field.ty)));
        }
        columns(&rows).iter().try_for_each(|line| print(line))?;
        Ok(Outcome::Found)
    }
}
