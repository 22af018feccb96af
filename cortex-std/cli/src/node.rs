//! `cortex node`: who publishes.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use cortex_std::discovery::Topic;
use serde_json::{Value as Json, json};

use crate::failure::{Failure, Outcome, Result};
use crate::listener::{self, Listener};
use crate::output::{Paint, columns, safe, say, say_json};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    List(List),
    Info(Info),
}

/// List the nodes that publish something.
///
/// The daemon knows topics and who publishes them; a node that only subscribes is not listed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex node list\n  cortex node list --json | jq .topics")]
pub(crate) struct List {}

/// Tell what a node publishes, and which process it is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex node info camera")]
pub(crate) struct Info {
    /// The node.
    node: String,
}

impl Node {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let nodes = by_node(session.topics()?);
        match self {
            Self::List(_) => list(session, &nodes),
            Self::Info(verb) => verb.run(session, &nodes),
        }
    }
}

/// Topics by the node that publishes them.
pub(crate) fn by_node(topics: Vec<Topic>) -> BTreeMap<String, Vec<Topic>> {
    let mut nodes = BTreeMap::<String, Vec<Topic>>::new();
    for topic in topics {
        nodes.entry(topic.publisher_node.clone()).or_default().push(topic);
    }
    nodes
}

fn list(session: &Session, nodes: &BTreeMap<String, Vec<Topic>>) -> Result {
    for (node, topics) in nodes {
        if session.json {
            let names: Vec<_> = topics.iter().map(|topic| &topic.name).collect();
            say_json(&json!({ "node": node, "topics": names }))?;
        } else {
            say(&Paint::stdout().name(&safe(node)))?;
        }
    }
    Ok(Outcome::Found)
}

impl Info {
    fn run(&self, session: &Session, nodes: &BTreeMap<String, Vec<Topic>>) -> Result {
        let Some(topics) = nodes.get(&self.node) else {
            let names: Vec<_> = nodes.keys().map(String::as_str).collect();
            let known = match names.is_empty() {
                true => "nobody does".to_owned(),
                false => format!("there is {}", names.join(", ")),
            };
            let reason = format!("no node {} publishes anything; {known}", self.node);
            return Err(Failure::Failed(reason));
        };
        let states: Vec<Listener> =
            topics.iter().map(|topic| listener::of(&topic.address)).collect();
        let pid = states.iter().find_map(|state| state.pid());
        if session.json {
            let topic = |(topic, state): (&Topic, &Listener)| {
                let mut object = crate::topic::describe(topic);
                object["listening"] = json!(state.is_alive());
                object
            };
            let topics: Vec<Json> = topics.iter().zip(&states).map(topic).collect();
            say_json(&json!({ "node": self.node, "pid": pid, "topics": topics }))?;
            return Ok(Outcome::Found);
        }
        let paint = Paint::stdout();
        let process = pid.map_or_else(String::new, |pid| format!("  process {pid}"));
        say(&format!("{}{}", paint.name(&safe(&self.node)), paint.faint(&process)))?;
        let rows: Vec<_> = topics
            .iter()
            .zip(&states)
            .map(|(topic, state)| {
                let mark = match state.is_alive() {
                    Some(false) => paint.bad("  nobody listens"),
                    _ => String::new(),
                };
                [
                    format!("  {}", safe(&topic.name)),
                    paint.key(&safe(&topic.message_type)),
                    format!("{}{mark}", paint.faint(&safe(&topic.address))),
                ]
            })
            .collect();
        columns(&rows).iter().try_for_each(|line| say(line))?;
        Ok(Outcome::Found)
    }
}
