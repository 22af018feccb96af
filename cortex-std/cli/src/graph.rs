//! `cortex graph`: nodes and topics as a picture.

use std::collections::BTreeMap;

use clap::Args;
use cortex_std::discovery::Topic;
use serde_json::json;

use crate::failure::{Outcome, Result};
use crate::node;
use crate::output::{Paint, safe, say, say_json};
use crate::session::Session;

/// Draw which node publishes what.
///
/// As text, for Graphviz with --dot, or for Markdown with --mermaid. The daemon knows publishers
/// alone, so subscribers are not in the picture.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cortex graph\n  cortex graph --dot | dot -Tsvg > graph.svg\n  \
    cortex graph --mermaid >> README.md"
)]
pub(crate) struct Graph {
    /// For Graphviz.
    #[arg(long, conflicts_with_all = ["mermaid", "json"])]
    dot: bool,
    /// For Mermaid, as Markdown viewers draw it.
    #[arg(long, conflicts_with = "json")]
    mermaid: bool,
}

impl Graph {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let nodes = node::by_node(session.topics()?);
        match (self.dot, self.mermaid) {
            (true, _) => say(&dot(&nodes))?,
            (_, true) => say(&mermaid(&nodes))?,
            _ if session.json => {
                for topic in nodes.values().flatten() {
                    say_json(&json!({
                        "node": topic.publisher_node,
                        "topic": topic.name,
                        "message_type": topic.message_type,
                    }))?;
                }
            }
            _ => text(&nodes)?,
        }
        Ok(Outcome::Found)
    }
}

fn text(nodes: &BTreeMap<String, Vec<Topic>>) -> Result<()> {
    let paint = Paint::stdout();
    for (name, topics) in nodes {
        say(&paint.name(&safe(name)))?;
        for (at, topic) in topics.iter().enumerate() {
            let branch = if at + 1 == topics.len() { "└─" } else { "├─" };
            let ty = paint.key(&safe(&topic.message_type));
            say(&format!("{branch} {}  {ty}", safe(&topic.name)))?;
        }
    }
    Ok(())
}

fn dot(nodes: &BTreeMap<String, Vec<Topic>>) -> String {
    let quote =
        |text: &str| format!("\"{}\"", safe(text).replace('\\', "\\\\").replace('"', "\\\""));
    let mut lines = vec!["digraph cortex {".to_owned(), "  rankdir=LR;".to_owned()];
    for (number, (name, topics)) in nodes.iter().enumerate() {
        lines.push(format!("  n{number} [label={}];", quote(name)));
        for (at, topic) in topics.iter().enumerate() {
            let label = quote(&format!("{}\n{}", topic.name, topic.message_type));
            // The one line end that was not the peer's.
            let label = label.replacen("\\\\n", "\\n", 1);
            lines.push(format!("  n{number}t{at} [shape=box, label={label}];"));
            lines.push(format!("  n{number} -> n{number}t{at};"));
        }
    }
    lines.push("}".to_owned());
    lines.join("\n")
}

fn mermaid(nodes: &BTreeMap<String, Vec<Topic>>) -> String {
    let quote = |text: &str| {
        let text = safe(text).replace('#', "#35;").replace('"', "#quot;");
        text.replace('<', "#lt;").replace('>', "#gt;")
    };
    let mut lines = vec!["flowchart LR".to_owned()];
    for (number, (name, topics)) in nodes.iter().enumerate() {
        lines.push(format!("  n{number}([\"{}\"])", quote(name)));
        for (at, topic) in topics.iter().enumerate() {
            let (name, ty) = (quote(&topic.name), quote(&topic.message_type));
            lines.push(format!("  n{number} --> n{number}t{at}[\"{name}<br/>{ty}\"]"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(name: &str, topic: &str) -> BTreeMap<String, Vec<Topic>> {
        node::by_node(vec![Topic {
            name: topic.to_owned(),
            address: "ipc:///x".to_owned(),
            message_type: "StringMessage".to_owned(),
            fingerprint: 0,
            publisher_node: name.to_owned(),
        }])
    }

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        let nodes = nodes("a\"b\\", "/t<x>#\n");
        assert!(dot(&nodes).contains(r#"n0 [label="a\"b\\"];"#), "{}", dot(&nodes));
        let drawn = mermaid(&nodes);
        assert!(drawn.contains(r#"n0(["a#quot;b\"])"#), "{drawn}");
        assert!(drawn.contains(r##"["/t#lt;x#gt;#35;\n<br/>StringMessage"]"##), "{drawn}");
    }

    #[test]
    fn a_topic_and_its_type_are_two_lines_of_a_box() {
        let drawn = dot(&nodes("camera", "/cam"));
        assert!(drawn.contains(r#"n0t0 [shape=box, label="/cam\nStringMessage"];"#), "{drawn}");
    }
}
