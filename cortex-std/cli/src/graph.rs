//! `cortex graph`.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use cortex_std::discovery::Topic;
use serde_json::json;

use crate::failure::{Outcome, Result};
use crate::output::{Paint, escaped, print, print_json, refuse_json};
use crate::session::Session;
use crate::subscribers::Subscribers;

/// Draw the nodes, the topics that they publish, and the subscribers.
///
/// As text, for Graphviz with --dot, or for Mermaid with --mermaid. Subscribers are known on this
/// machine only; one whose node is unknown, such as a Python program that publishes nothing, is
/// drawn as its process.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cortex graph\n  cortex graph --dot | dot -Tsvg > graph.svg\n  \
    cortex graph --mermaid >> README.md"
)]
pub(crate) struct Graph {
    /// Write the graph for Graphviz.
    #[arg(long, conflicts_with = "mermaid")]
    dot: bool,
    /// Write the graph for Mermaid, which Markdown viewers draw.
    #[arg(long)]
    mermaid: bool,
}

impl Graph {
    pub(crate) fn run(&self, session: &Session) -> Result {
        if self.dot || self.mermaid {
            refuse_json(session.json, "a drawing")?;
        }
        let topics = session.topics()?;
        let subscribers = Subscribers::of(&topics, &topics);
        let nodes = nodes(topics, &subscribers);
        match (self.dot, self.mermaid) {
            (true, _) => print(&dot(&nodes))?,
            (_, true) => print(&mermaid(&nodes))?,
            _ if session.json => {
                for Edge { topic, subscribers } in nodes.values().flatten() {
                    print_json(&json!({
                        "node": topic.publisher_node,
                        "topic": topic.name,
                        "message_type": topic.message_type,
                        "subscribers": subscribers,
                    }))?;
                }
            }
            _ => text(&nodes)?,
        }
        Ok(Outcome::Found)
    }
}

/// A topic of a publisher.
#[derive(Debug)]
struct Edge {
    topic: Topic,
    /// The names of its subscribers, each once.
    subscribers: BTreeSet<String>,
}

type Nodes = BTreeMap<String, Vec<Edge>>;

fn nodes(topics: Vec<Topic>, subscribers: &Subscribers) -> Nodes {
    let mut nodes = Nodes::new();
    for (topic, asked) in topics.into_iter().zip(subscribers.publishers()) {
        let names = asked.list().iter().map(|peer| subscribers.name(peer)).collect();
        let node = nodes.entry(topic.publisher_node.clone()).or_default();
        node.push(Edge { topic, subscribers: names });
    }
    nodes
}

/// The identifier of each subscriber in a drawing: that of the node, or a new one.
fn identifiers(nodes: &Nodes) -> BTreeMap<&str, String> {
    let publishers: BTreeMap<_, _> =
        nodes.keys().enumerate().map(|(number, name)| (escaped(name), number)).collect();
    let names: BTreeSet<_> = nodes.values().flatten().flat_map(|edge| &edge.subscribers).collect();
    let identifier = |(number, name): (usize, &'_ String)| match publishers.get(name) {
        Some(node) => format!("n{node}"),
        None => format!("s{number}"),
    };
    names
        .into_iter()
        .enumerate()
        .map(|(number, name)| (name.as_str(), identifier((number, name))))
        .collect()
}

fn text(nodes: &Nodes) -> Result<()> {
    let paint = Paint::stdout();
    for (name, topics) in nodes {
        print(&paint.name(&escaped(name)))?;
        for (at, Edge { topic, subscribers }) in topics.iter().enumerate() {
            let branch = if at + 1 == topics.len() { "└─" } else { "├─" };
            let ty = paint.key(&escaped(&topic.message_type));
            let names: Vec<_> = subscribers.iter().map(|name| paint.name(name)).collect();
            let arrow = if names.is_empty() { "" } else { "  → " };
            let names = names.join(", ");
            print(&format!("{branch} {}  {ty}{arrow}{names}", escaped(&topic.name)))?;
        }
    }
    Ok(())
}

fn dot(nodes: &Nodes) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let quote = |text: &str| quoted(&escaped(text));
    let mut lines = vec!["digraph cortex {".to_owned(), "  rankdir=LR;".to_owned()];
    let identifiers = identifiers(nodes);
    for (number, (name, topics)) in nodes.iter().enumerate() {
        lines.push(format!("  n{number} [label={}];", quote(name)));
        for (at, Edge { topic, subscribers }) in topics.iter().enumerate() {
            let label = quote(&format!("{}\n{}", topic.name, topic.message_type));
            // The line end between the two; those in the names stay escaped.
            let label = label.replacen("\\\\n", "\\n", 1);
            lines.push(format!("  n{number}t{at} [shape=box, label={label}];"));
            lines.push(format!("  n{number} -> n{number}t{at};"));
            let to = subscribers.iter().filter_map(|name| identifiers.get(name.as_str()));
            lines.extend(to.map(|to| format!("  n{number}t{at} -> {to};")));
        }
    }
    let others = identifiers.iter().filter(|(_, identifier)| identifier.starts_with('s'));
    lines.extend(others.map(|(name, to)| format!("  {to} [label={}];", quoted(name))));
    lines.push("}".to_owned());
    lines.join("\n")
}

fn mermaid(nodes: &Nodes) -> String {
    let quoted = |text: &str| {
        let text = text.replace('#', "#35;").replace('"', "#quot;");
        text.replace('<', "#lt;").replace('>', "#gt;")
    };
    let quote = |text: &str| quoted(&escaped(text));
    let mut lines = vec!["flowchart LR".to_owned()];
    let identifiers = identifiers(nodes);
    for (number, (name, topics)) in nodes.iter().enumerate() {
        lines.push(format!("  n{number}([\"{}\"])", quote(name)));
        for (at, Edge { topic, subscribers }) in topics.iter().enumerate() {
            let (name, ty) = (quote(&topic.name), quote(&topic.message_type));
            lines.push(format!("  n{number} --> n{number}t{at}[\"{name}<br/>{ty}\"]"));
            let to = subscribers.iter().filter_map(|name| identifiers.get(name.as_str()));
            lines.extend(to.map(|to| format!("  n{number}t{at} --> {to}")));
        }
    }
    let others = identifiers.iter().filter(|(_, identifier)| identifier.starts_with('s'));
    lines.extend(others.map(|(name, to)| format!("  {to}([\"{}\"])", quoted(name))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(name: &str, topic: &str, subscribers: &[&str]) -> Nodes {
        let topic = Topic {
            name: topic.to_owned(),
            address: "ipc:///x".to_owned(),
            message_type: "StringMessage".to_owned(),
            fingerprint: 0,
            publisher_node: name.to_owned(),
        };
        let subscribers = subscribers.iter().map(|name| name.to_string()).collect();
        Nodes::from([(name.to_owned(), vec![Edge { topic, subscribers }])])
    }

    #[test]
    fn a_subscriber_is_its_node_or_a_process_of_its_own() {
        let nodes = nodes("both", "/t", &["both", "python3 \"7\""]);
        let drawn = dot(&nodes);
        assert!(drawn.contains("n0t0 -> n0;\n  n0t0 -> s1;"), "{drawn}");
        assert!(drawn.contains(r#"s1 [label="python3 \"7\""];"#), "{drawn}");
        let drawn = mermaid(&nodes);
        assert!(drawn.contains("n0t0 --> n0\n  n0t0 --> s1\n"), "{drawn}");
        assert!(drawn.contains(r#"s1(["python3 #quot;7#quot;"])"#), "{drawn}");
    }

    #[test]
    fn quotes_and_control_characters_in_names_are_escaped() {
        let nodes = nodes("a\"b\\", "/t<x>#\n", &[]);
        assert!(dot(&nodes).contains(r#"n0 [label="a\"b\\"];"#), "{}", dot(&nodes));
        let drawn = mermaid(&nodes);
        assert!(drawn.contains(r#"n0(["a#quot;b\"])"#), "{drawn}");
        assert!(drawn.contains(r##"["/t#lt;x#gt;#35;\n<br/>StringMessage"]"##), "{drawn}");
    }

    #[test]
    fn a_box_has_a_line_for_the_topic_and_one_for_its_type() {
        let drawn = dot(&nodes("camera", "/cam", &[]));
        assert!(drawn.contains(r#"n0t0 [shape=box, label="/cam\nStringMessage"];"#), "{drawn}");
    }
}
