//! `cortex topic info`.

use clap::Args;
use cortex_std::discovery::{Found, Topic};
use cortex_std::wire::standard::TYPES;
use cortex_std::wire::{FieldInfo, find_type};
use serde_json::{Map, Value as Json, json};

use crate::failure::{Outcome, Result};
use crate::listener;
use crate::message::fingerprint_text;
use crate::output::{Paint, columns, safe, say, say_json};
use crate::session::Session;

use super::list;

/// Tell all that is known of a topic.
///
/// That is its type and fields, and of each publisher the node, the address, and whether somebody
/// listens there.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cortex topic info /cam/frame\n  cortex topic info --json /cam/frame"
)]
pub(crate) struct Info {
    /// The topic.
    topic: String,
}

impl Info {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let Found { topic, publishers, .. } = session.topic(&self.topic)?;
        let info = find_type(TYPES, topic.fingerprint);
        let fields = info.map_or(&[][..], |info| info.fields);
        let state = listener::of(&topic.address);
        if session.json {
            let mut object = list::to_json(&topic);
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
            object["listening"] = json!(state.is_alive());
            object["pid"] = json!(state.pid());
            let publisher = |topic: &Topic| {
                let state = listener::of(&topic.address);
                json!({
                    "node": topic.publisher_node,
                    "address": topic.address,
                    "listening": state.is_alive(),
                    "pid": state.pid(),
                })
            };
            object["publishers"] = publishers.iter().map(publisher).collect();
            say_json(&object)?;
            return Ok(Outcome::Found);
        }
        let paint = Paint::stdout();
        let row = |name: &str, text: String| [paint.key(name), text];
        let class = info.map_or_else(
            || format!("{} {}", safe(&topic.message_type), paint.faint("(not a standard message)")),
            |info| info.class.to_owned(),
        );
        let mut rows = vec![
            row("topic", paint.name(&safe(&topic.name))),
            row("type", class),
            row("fingerprint", fingerprint_text(topic.fingerprint)),
        ];
        for topic in &publishers {
            rows.push(row("node", safe(&topic.publisher_node)));
            rows.push(row("address", safe(&topic.address)));
            rows.push(row("listening", listener::of(&topic.address).describe(paint)));
        }
        for (at, field) in fields.iter().enumerate() {
            let name = if at == 0 { "fields" } else { "" };
            let mark = if field.optional { "?" } else { "" };
            rows.push(row(name, format!("{}: {}{mark}", field.name, field.ty)));
        }
        columns(&rows).iter().try_for_each(|line| say(line))?;
        Ok(Outcome::Found)
    }
}
