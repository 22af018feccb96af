//! Checks of topics: dead publishers, shared addresses, and conflicting types.

use std::collections::BTreeMap;

use cortex_std::discovery::Topic;
use cortex_std::wire::find_type;
use cortex_std::wire::standard::TYPES;

use super::finding::Finding;
use crate::listener::Listener;
use crate::listing::by_name;
use crate::message::fingerprint_text;
use crate::output::escaped;

use crate::types;

pub(super) fn check(topics: &[Topic]) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(dead_publishers(topics));
    findings.extend(shared_addresses(topics));
    findings.extend(fingerprints(topics));
    if findings.is_empty() {
        let text = match by_name(topics).count() {
            0 => "no topic is registered".to_owned(),
            count => format!("{count}, all publishers alive, no conflicting types"),
        };
        findings.push(Finding::ok("topics", text));
    }
    findings
}

fn dead_publishers(topics: &[Topic]) -> Vec<Finding> {
    let is_dead = |topic: &&Topic| Listener::at(&topic.address).is_alive() == Some(false);
    let finding = |topic: &Topic| {
        let (name, node) = (escaped(&topic.name), escaped(&topic.publisher_node));
        let text = format!("{name} is registered by {node}, but no process listens at its address");
        let advice = "its publisher died: a Rust daemon removes the topic within a second; a Python daemon must be restarted";
        Finding::problem("topics", text, advice)
    };
    topics.iter().filter(is_dead).map(finding).collect()
}

/// Topics with one address: Python subscribers do not compare the topic of a message.
fn shared_addresses(topics: &[Topic]) -> Vec<Finding> {
    let mut by_address = BTreeMap::<&str, Vec<&str>>::new();
    for topic in topics {
        by_address.entry(&topic.address).or_default().push(&topic.name);
    }
    let finding = |(address, names): (&str, Vec<&str>)| {
        let (address, names) = (escaped(address), escaped(&names.join(" and ")));
        let text = format!("{names} share {address}");
        Finding::problem(
            "addresses",
            text,
            "Python subscribers receive the messages of both: give each publisher its own address",
        )
    };
    by_address.into_iter().filter(|(_, names)| names.len() > 1).map(finding).collect()
}

/// Different types of one name: subscribers reject the messages of one of them.
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
                    format!("{} on {}", fingerprint_text(*fingerprint), escaped(topic))
                })
                .collect();
            let text = format!("{} has several fingerprints: {}", escaped(name), each.join(", "));
            let advice = "several modules have a class of this name, or it is defined in __main__: subscribers accept one of them";
            findings.push(Finding::warning("fingerprints", text, advice));
        } else if let Some((fingerprint, topic)) =
            fingerprints.iter().find(|(fingerprint, _)| !is_known(**fingerprint))
        {
            let text = format!(
                "the type of {} is named {}, but {} is not the fingerprint of that standard message",
                escaped(topic),
                escaped(name),
                fingerprint_text(*fingerprint)
            );
            let advice = "another module has a class of this name: subscribers to the standard message reject it";
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

    fn texts(topics: &[Topic]) -> String {
        let lines: Vec<_> = check(topics).iter().map(|finding| finding.text.clone()).collect();
        lines.join("\n")
    }

    #[test]
    fn reports_conflicting_types_and_addresses() {
        let string = types::by_name("StringMessage").unwrap();
        let good = topic("/a", "tcp://h:1", "StringMessage", string.fingerprint);
        let other = topic("/b", "tcp://h:2", "StringMessage", 1);
        assert!(
            texts(&[good.clone(), other.clone()])
                .contains("StringMessage has several fingerprints")
        );
        assert!(texts(&[other]).contains("the type of /b is named StringMessage"));
        let schema = topic("/c", "tcp://h:3", "StringMessage", string.accept[0]);
        assert_eq!(texts(&[schema]), "1, all publishers alive, no conflicting types");
        let twin = topic("/d", "tcp://h:1", "StringMessage", string.fingerprint);
        assert_eq!(texts(&[good, twin]), "/a and /d share tcp://h:1");
    }
}
