//! `cortex node list` and `info`.

use std::collections::{BTreeMap, BTreeSet};

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
use crate::subscribers::{Asked, Subscribers};

#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    List(List),
    Info(Info),
}

/// List the nodes that publish a topic, and those that subscribe to one on this machine.
///
/// The daemon knows only publishers; they tell of their subscribers. A Python node that only
/// subscribes has no name and is not listed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex node list\n  cortex node list --json | jq .topics")]
pub(crate) struct List {}

/// Show the topics that a node publishes, their subscribers, the topics that it subscribes to on
/// this machine, and its process.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex node info camera")]
pub(crate) struct Info {
    /// Name of the node.
    #[arg(add = ArgValueCandidates::new(candidates::nodes))]
    node: String,
}

/// What the daemon and the publishers know of all nodes.
struct Known {
    /// The topics of each node that publishes.
    published: BTreeMap<String, Vec<(Topic, usize)>>,
    /// The topics that each node subscribes to, and its process.
    subscribed: BTreeMap<String, BTreeSet<(String, Option<u32>)>>,
    subscribers: Subscribers,
}

impl Known {
    fn ask(session: &Session) -> Result<Self> {
        let topics = session.topics()?;
        let subscribers = Subscribers::of(&topics, &topics);
        let mut published = BTreeMap::<_, Vec<_>>::new();
        let mut subscribed = BTreeMap::<_, BTreeSet<_>>::new();
        for (topic, asked) in topics.iter().zip(subscribers.publishers()) {
            for peer in asked.list() {
                if let Some(node) = subscribers.node(peer) {
                    let topics = subscribed.entry(node.to_owned()).or_default();
                    topics.insert((topic.name.clone(), peer.pid));
                }
            }
        }
        for (index, topic) in topics.into_iter().enumerate() {
            published.entry(topic.publisher_node.clone()).or_default().push((topic, index));
        }
        Ok(Self { published, subscribed, subscribers })
    }

    fn names(&self) -> BTreeSet<&str> {
        self.published.keys().chain(self.subscribed.keys()).map(String::as_str).collect()
    }

    /// The topics that a node subscribes to.
    fn subscriptions(&self, node: &str) -> BTreeSet<&str> {
        let topics = self.subscribed.get(node).into_iter().flatten();
        topics.map(|(topic, _)| topic.as_str()).collect()
    }
}

impl Node {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let known = Known::ask(session)?;
        match self {
            Self::List(_) => list(session, &known),
            Self::Info(verb) => verb.run(session, &known),
        }
    }
}

fn list(session: &Session, known: &Known) -> Result {
    for node in known.names() {
        if session.json {
            let published = known.published.get(node).into_iter().flatten();
            let topics: Vec<_> = published.map(|(topic, _)| &topic.name).collect();
            let subscriptions = known.subscriptions(node);
            print_json(&json!({ "node": node, "topics": topics, "subscriptions": subscriptions }))?;
        } else {
            print(&Paint::stdout().name(&escaped(node)))?;
        }
    }
    Ok(Outcome::Found)
}

impl Info {
    fn run(&self, session: &Session, known: &Known) -> Result {
        let names = known.names();
        if !names.contains(self.node.as_str()) {
            let names: Vec<_> = names.into_iter().collect();
            let others = match names.is_empty() {
                true => "no node publishes".to_owned(),
                false => format!("nodes that do: {}", names.join(", ")),
            };
            let reason = format!("no node {} publishes a topic; {others}", self.node);
            return Err(Failure::Failed(reason));
        }
        let topics = known.published.get(&self.node).map(Vec::as_slice).unwrap_or_default();
        let listeners: Vec<Listener> =
            topics.iter().map(|(topic, _)| Listener::at(&topic.address)).collect();
        let subscribed = known.subscribed.get(&self.node).into_iter().flatten();
        let pid = listeners.iter().find_map(|listener| listener.pid());
        let pid = pid.or(subscribed.clone().find_map(|(_, pid)| *pid));
        let asked: Vec<_> = known.subscribers.publishers().collect();
        let answers = topics.iter().map(|(_, index)| asked.get(*index).copied());
        if session.json {
            let topics = topics.iter().zip(&listeners).zip(answers);
            let topic = |(((topic, _), listener), asked): ((&(Topic, usize), &Listener), _)| {
                let asked: Option<&Asked> = asked;
                let mut object = listing::to_json(topic);
                object["listening"] = json!(listener.is_alive());
                object["transport"] = asked.map_or(Json::Null, Asked::transport_json);
                let list = |asked| known.subscribers.list_json(asked);
                object["subscribers"] = asked.map_or(Json::Null, list);
                object
            };
            let topics: Vec<Json> = topics.map(topic).collect();
            let subscriptions = known.subscriptions(&self.node);
            print_json(&json!({
                "node": self.node, "pid": pid, "topics": topics, "subscriptions": subscriptions,
            }))?;
            return Ok(Outcome::Found);
        }
        let paint = Paint::stdout();
        let process = pid.map_or_else(String::new, |pid| format!("  process {pid}"));
        print(&format!("{}{}", paint.name(&escaped(&self.node)), paint.faint(&process)))?;
        let mut rows = Vec::new();
        for (((topic, _), listener), asked) in topics.iter().zip(&listeners).zip(answers) {
            let mark = match listener.is_alive() {
                Some(false) => paint.bad("  no listener"),
                _ => String::new(),
            };
            rows.push([
                format!("  {}", escaped(&topic.name)),
                paint.key(&escaped(&topic.message_type)),
                format!("{}{mark}", paint.faint(&escaped(&topic.address))),
            ]);
            for peer in asked.into_iter().flat_map(Asked::list) {
                let text = format!("  → {}", known.subscribers.describe(peer, paint));
                rows.push([text, String::new(), String::new()]);
            }
        }
        for topic in known.subscriptions(&self.node) {
            rows.push([format!("  ← {}", escaped(topic)), String::new(), String::new()]);
        }
        columns(&rows).iter().try_for_each(|line| print(line.trim_end()))?;
        Ok(Outcome::Found)
    }
}
