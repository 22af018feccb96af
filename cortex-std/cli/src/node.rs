//! `cortex node list` and `info`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCandidates;
use cortex_std::discovery::Topic;
use serde_json::{Value as Json, json};

use crate::candidates;
use crate::failure::{Failure, Outcome, Result};
use crate::listener::Listener;
use crate::listing;
use crate::output::{Paint, columns, escaped, print, print_json};
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    List(List),
    Info(Info),
}

/// List the nodes that publish a topic.
///
/// The daemon knows only publishers: a node that only subscribes is not listed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex node list\n  cortex node list --json | jq .topics")]
pub(crate) struct List {}

/// Show the topics that a node publishes, and its process.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex node info camera")]
pub(crate) struct Info {
    /// Name of the node.
    #[arg(add = ArgValueCandidates::new(candidates::nodes))]
    node: String,
}

impl Node {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let nodes = listing::by_node(session.topics()?);
        match self {
            Self::List(_) => list(session, &nodes),
            Self::Info(verb) => verb.run(session, &nodes),
        }
    }
}

fn list(session: &Session, nodes: &BTreeMap<String, Vec<Topic>>) -> Result {
    for (node, topics) in nodes {
        if session.json {
            let names: Vec<_> = topics.iter().map(|topic| &topic.name).collect();
            print_json(&json!({ "node": node, "topics": names }))?;
        } else {
            print(&Paint::stdout().name(&escaped(node)))?;
        }
    }
    Ok(Outcome::Found)
}

impl Info {
    fn run(&self, session: &Session, nodes: &BTreeMap<String, Vec<Topic>>) -> Result {
        let Some(topics) = nodes.get(&self.node) else {
            let names: Vec<_> = nodes.keys().map(String::as_str).collect();
            let known = match names.is_empty() {
                true => "no node publishes".to_owned(),
                false => format!("nodes that do: {}", names.join(", ")),
            };
            let reason = format!("no node {} publishes a topic; {known}", self.node);
            return Err(Failure::Failed(reason));
        };
        let listeners: Vec<Listener> =
            topics.iter().map(|topic| Listener::at(&topic.address)).collect();
        let pid = listeners.iter().find_map(|listener| listener.pid());
        if session.json {
            let topic = |(topic, listener): (&Topic, &Listener)| {
                let mut object = listing::to_json(topic);
                object["listening"] = json!(listener.is_alive());
                object
            };
            let topics: Vec<Json> = topics.iter().zip(&listeners).map(topic).collect();
            print_json(&json!({ "node": self.node, "pid": pid, "topics": topics }))?;
            return Ok(Outcome::Found);
        }
        let paint = Paint::stdout();
        let process = pid.map_or_else(String::new, |pid| format!("  process {pid}"));
        print(&format!("{}{}", paint.name(&escaped(&self.node)), paint.faint(&process)))?;
        let rows: Vec<_> = topics
            .iter()
            .zip(&listeners)
            .map(|(topic, listener)| {
                let mark = match listener.is_alive() {
                    Some(false) => paint.bad("  no listener"),
                    _ => String::new(),
                };
                [
                    format!("  {}", escaped(&topic.name)),
                    paint.key(&escaped(&topic.message_type)),
                    format!("{}{mark}", paint.faint(&escaped(&topic.address))),
                ]
            })
            .collect();
        columns(&rows).iter().try_for_each(|line| print(line))?;
        Ok(Outcome::Found)
    }
}
