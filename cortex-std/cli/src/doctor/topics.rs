//! Topics: publishers that are gone, and types that disagree.

use std::collections::BTreeMap;

use cortex_std::discovery::Topic;
use cortex_std::wire::find_type;
use cortex_std::wire::standard::TYPES;

use super::Finding;
use crate::listener;
use crate::message::fingerprint_text;
use crate::output::safe;
use crate::session::by_name;
use crate::types;

pub(crate) fn check(topics: &[Topic]) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(ghosts(topics));
    findings.extend(shared_addresses(topics));
    findings.extend(fingerprints(topics));
    if findings.is_empty() {
        let text = match by_name(topics).count() {
            0 => "nobody publishes anything".to_owned(),
            count => format!("{count}, each with its publisher, no types disagree"),
        };
        findings.push(Finding::ok("topics", text));
    }
    findings
}

fn ghosts(topics: &[Topic]) -> Vec<Finding> {
    let is_gone = |topic: &&Topic| listener::of(&topic.address).is_alive() == Some(false);
    let tell = |topic: &Topic| {
        let (name, node) = (safe(&topic.name), safe(&topic.publisher_node));
        let text = format!("{name} is registered by {node}, but nobody listens at its address");
        let advice =
            "its publisher died: a Rust daemon forgets it within a second; restart one of Python";
        Finding::problem("topics", text, advice)
    };
    topics.iter().filter(is_gone).map(tell).collect()
}

/// Subscribers of other implementations do not compare topics.
fn shared_addresses(topics: &[Topic]) -> Vec<Finding> {
    let mut by_address = BTreeMap::<&str, Vec<&str>>::new();
    for topic in topics {
        by_address.entry(&topic.address).or_default().push(&topic.name);
    }
    let tell = |(address, names): (&str, Vec<&str>)| {
        let (address, names) = (safe(address), safe(&names.join(" and ")));
        let text = format!("{names} share {address}");
        Finding::problem(
            "addresses",
            text,
            "Python subscribers mix them up: give each publisher its own address",
        )
    };
    by_address.into_iter().filter(|(_, names)| names.len() > 1).map(tell).collect()
}

/// One name, several types: messages would be rejected.
fn fingerprints(topics: &[Topic]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut by_type = BTreeMap::<&str, BTreeMap<u64, &str>>::new();
    for topic in topics {
        by_type
            .entry(&topic.message_type)
            .or_default()
            .entry(topic.fingerprint)
            .or_insert(&topic.name);
    }
    for (name, fingerprints) in by_type {
        let standard = types::by_name(name);
        let is_known = |fingerprint: u64| match (standard, find_type(TYPES, fingerprint)) {
            (Some(standard), Some(found)) => standard.class == found.class,
            (Some(_), None) => false,
            (None, _) => true,
        };
        if fingerprints.len() > 1 {
            let each: Vec<_> = fingerprints
                .iter()
                .map(|(fingerprint, topic)| {
                    format!("{} on {}", fingerprint_text(*fingerprint), safe(topic))
                })
                .collect();
            let text = format!("{} has several fingerprints: {}", safe(name), each.join(", "));
            let advice = "classes of one name in several modules, or a class run as __main__: subscribers accept one of them";
            findings.push(Finding::warning("fingerprints", text, advice));
        } else if let Some((fingerprint, topic)) =
            fingerprints.iter().find(|(fingerprint, _)| !is_known(**fingerprint))
        {
            let text = format!(
                "{} calls its type {}, but {} is not the fingerprint of that standard message",
                safe(topic),
                safe(name),
                fingerprint_text(*fingerprint)
            );
            let advice =
                "a class of that name in another module: subscribers to the standard one reject it";
            findings.push(Finding::warning("fingerprints", text, advice));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str, address: &str, message_type: &str, fingerprint: u64) -> Topic {
        Topic {
            name: name.to_owned(),
            address: address.to_owned(),
            message_type: message_type.to_owned(),
            fingerprint,
            publisher_node: "node".to_owned(),
        }
    }

    fn told(topics: &[Topic]) -> String {
        let lines: Vec<_> = check(topics).iter().map(|finding| finding.text.clone()).collect();
        lines.join("\n")
    }

    #[test]
    fn types_that_disagree_are_told() {
        let string = types::by_name("StringMessage").unwrap();
        let good = topic("/a", "tcp://h:1", "StringMessage", string.fingerprint);
        let other = topic("/b", "tcp://h:2", "StringMessage", 1);
        assert!(
            told(&[good.clone(), other.clone()]).contains("StringMessage has several fingerprints")
        );
        assert!(told(&[other]).contains("/b calls its type StringMessage"));
        let schema = topic("/c", "tcp://h:3", "StringMessage", string.accept[0]);
        assert_eq!(told(&[schema]), "1, each with its publisher, no types disagree");
        let twin = topic("/d", "tcp://h:1", "StringMessage", string.fingerprint);
        assert_eq!(told(&[good, twin]), "/a and /d share tcp://h:1");
    }
}
