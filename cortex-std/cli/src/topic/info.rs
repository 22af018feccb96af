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
use crate::subscribers::{Asked, Subscribers};

/// Show the type, publishers and subscribers of a topic, and the fields of a standard type.
///
/// A publisher is shown with its node, its address, whether a process listens there, what carries
/// its messages (local, or libzmq), and its subscribers with what they lost and what waits for
/// them. Subscribers are known on this machine only; those of a Python publisher have no counters,
/// and no name but that of their process unless their node publishes as well.
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
        let subscribers = Subscribers::of(&publishers, &session.topics()?);
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
            let first = subscribers.publishers().next();
            object["transport"] = first.map_or(Json::Null, Asked::transport_json);
            let publisher = |(topic, asked): (&Topic, &Asked)| {
                let listener = Listener::at(&topic.address);
                json!({
                    "node": topic.publisher_node,
                    "address": topic.address,
                    "listening": listener.is_alive(),
                    "pid": listener.pid(),
                    "unreachable": unreachable_publisher(&session.discovery, &topic.address),
                    "transport": asked.transport_json(),
                    "subscribers": subscribers.list_json(asked),
                })
            };
            object["publishers"] =
                publishers.iter().zip(subscribers.publishers()).map(publisher).collect();
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
        for (topic, asked) in publishers.iter().zip(subscribers.publishers()) {
            rows.push(row("node", escaped(&topic.publisher_node)));
            rows.push(row("address", escaped(&topic.address)));
            rows.push(row("listening", Listener::at(&topic.address).describe(paint)));
            if let Some(reason) = unreachable_publisher(&session.discovery, &topic.address) {
                rows.push(row("unreachable", paint.bad(&escaped(&reason))));
            }
            if let Some(transport) = asked.transport {
                rows.push(row("transport", transport.as_str().to_owned()));
            }
            for (at, peer) in asked.list().iter().enumerate() {
                let name = if at == 0 { "subscribers" } else { "" };
                rows.push(row(name, subscribers.describe(peer, paint)));
            }
            if asked.subscribers.as_ref().is_some_and(Vec::is_empty) {
                rows.push(row("subscribers", "none".to_owned()));
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
