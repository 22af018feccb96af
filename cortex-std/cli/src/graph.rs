//! `cortex graph`.

use std::collections::BTreeMap;

use clap::Args;
use cortex_std::discovery::Topic;
use serde_json::json;

use crate::failure::{Outcome, Result};
use crate::listing;
use crate::output::{Paint, escaped, print, print_json, refuse_json};
use crate::session::Session;

/// Draw the nodes and the topics that they publish.
///
/// As text, for Graphviz with --dot, or for Mermaid with --mermaid. The daemon knows only
/// publishers, so the graph shows no subscribers.
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
        let nodes = listing::by_node(session.topics()?);
        match (self.dot, self.mermaid) {
            (true, _) => print(&dot(&nodes))?,
            (_, true) => print(&mermaid(&nodes))?,
            _ if session.json => {
                for topic in nodes.values().flatten() {
                    print_json(&json!({
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
        print(&paint.name(&escaped(name)))?;
        for (at, topic) in topics.iter().enumerate() {
            let branch = if at + 1 == topics.len() { "└─" } else { "├─" };
            let ty = paint.key(&escaped(&topic.message_type));
            print(&format!("{branch} {}  {ty}", escaped(&topic.name)))?;
        }
    }
    Ok(())
}

fn dot(nodes: &BTreeMap<String, Vec<Topic>>) -> String {
    let quote =
        |text: &str| format!("\"{}\"", escaped(text).replace('\\', "\\\\").replace('"', "\\\""));
    let mut lines = vec!["digraph cortex {".to_owned(), "  rankdir=LR;".to_owned()];
    for (number, (name, topics)) in nodes.iter().enumerate() {
        lines.push(format!("  n{number} [label={}];", quote(name)));
        for (at, topic) in topics.iter().enumerate() {
            let label = quote(&format!("{}\n{}", topic.name, topic.message_type));
            // The line end between the two; those in the names stay escaped.
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
        let text = escaped(text).replace('#', "#35;").replace('"', "#quot;");
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
        listing::by_node(vec![Topic {
            name: topic.to_owned(),
            address: "ipc:///x".to_owned(),
            message_type: "StringMessage".to_owned(),
            fingerprint: 0,
            publisher_node: name.to_owned(),
        }])
    }

    #[test]
    fn quotes_and_control_characters_in_names_are_escaped() {
        let nodes = nodes("a\"b\\", "/t<x>#\n");
        assert!(dot(&nodes).contains(r#"n0 [label="a\"b\\"];"#), "{}", dot(&nodes));
        let drawn = mermaid(&nodes);
        assert!(drawn.contains(r#"n0(["a#quot;b\"])"#), "{drawn}");
        assert!(drawn.contains(r##"["/t#lt;x#gt;#35;\n<br/>StringMessage"]"##), "{drawn}");
    }

    #[test]
    fn a_box_has_a_line_for_the_topic_and_one_for_its_type() {
        let drawn = dot(&nodes("camera", "/cam"));
        assert!(drawn.contains(r#"n0t0 [shape=box, label="/cam\nStringMessage"];"#), "{drawn}");
    }
}
