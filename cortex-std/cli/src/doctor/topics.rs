//! Checks of topics: dead publishers, shared addresses, and conflicting types.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cortex_std::PeerStats;
use cortex_std::discovery::{Topic, unreachable_publisher};
use cortex_std::wire::find_type;
use cortex_std::wire::standard::TYPES;

use super::daemon::process_or_unknown;
use super::finding::Finding;
use crate::listener::Listener;
use crate::listing::by_name;
use crate::message::fingerprint_text;
use crate::output::escaped;
use crate::subscribers::{Subscribers, held};
use crate::types;

pub(super) fn check(discovery: &str, topics: &[Topic]) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(dead_publishers(topics));
    findings.extend(unreachable_publishers(discovery, topics));
    findings.extend(doubled_nodes(topics, |topic| Listener::at(&topic.address).pid()));
    findings.extend(shared_addresses(topics));
    findings.extend(fingerprints(topics));
    if findings.is_empty() {
        let text = match by_name(topics).count() {
            0 => "no topic is registered".to_owned(),
            count => format!("{count}, all publishers alive, no conflicting types"),
        };
        findings.push(Finding::ok("topics", text));
    }
    let subscribers = Subscribers::of(topics, &[]);
    findings.extend(transports(topics, &subscribers));
    findings.extend(holders(topics, &subscribers));
    findings
}

/// From here on a sample is held for long.
const HELD_LONG: Duration = Duration::from_secs(10);
/// From here on a publisher with `block_for` waits, bytes and arrays of one subscriber.
const MUCH_HELD: u64 = 20 << 20;
const MANY_HELD: usize = 48;
/// Names of topics in one finding.
const MAX_NAMES: usize = 8;

/// What carries the messages of each topic.
fn transports(topics: &[Topic], subscribers: &Subscribers) -> Option<Finding> {
    let mut by_transport = BTreeMap::<&str, BTreeSet<String>>::new();
    for (topic, asked) in topics.iter().zip(subscribers.publishers()) {
        if let Some(transport) = asked.transport {
            by_transport.entry(transport.as_str()).or_default().insert(escaped(&topic.name));
        }
    }
    let each = by_transport.into_iter().map(|(transport, names)| {
        let more = match names.len().saturating_sub(MAX_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names: Vec<_> = names.into_iter().take(MAX_NAMES).collect();
        format!("{transport}: {}{more}", names.join(", "))
    });
    let text = each.collect::<Vec<_>>().join("; ");
    (!text.is_empty()).then(|| Finding::ok("transports", text))
}

/// Subscribers that hold samples in shared memory for long.
fn holders(topics: &[Topic], subscribers: &Subscribers) -> Vec<Finding> {
    let pairs = topics.iter().zip(subscribers.publishers());
    let peers = pairs.flat_map(|(topic, asked)| asked.list().iter().map(move |peer| (topic, peer)));
    let finding = |(topic, peer): (&Topic, &PeerStats)| {
        let held = held(peer).filter(|_| peer.held_for >= Some(HELD_LONG))?;
        let text = format!("{} holds {held} of {}", subscribers.name(peer), escaped(&topic.name));
        let is_much = peer.held_bytes >= Some(MUCH_HELD) || peer.held >= Some(MANY_HELD);
        Some(match is_much {
            true => {
                let advice = "its samples keep the publisher's memory: copy what is kept; further arrays go through its socket, or a publisher with block_for waits";
                Finding::warning("memory", text, advice)
            }
            false => Finding::ok("memory", text),
        })
    };
    peers.filter_map(finding).collect()
}

fn dead_publishers(topics: &[Topic]) -> Vec<Finding> {
    let finding = |topic: &Topic| {
        let (name, node) = (escaped(&topic.name), escaped(&topic.publisher_node));
        let listener = Listener::at(&topic.address);
        if let Listener::Deleted(pid) = listener {
            let process = process_or_unknown(pid);
            let text = format!(
                "the socket file of {name} was deleted, its publisher {node} runs in {process}"
            );
            let advice =
                "a Rust publisher binds it again within a second; restart a Python publisher";
            return Some(Finding::problem("topics", text, advice));
        }
        (listener.is_alive() == Some(false)).then(|| {
            let text =
                format!("{name} is registered by {node}, but no process listens at its address");
            let advice = "its publisher died: a Rust daemon removes the topic within a second; a Python daemon must be restarted";
            Finding::problem("topics", text, advice)
        })
    };
    topics.iter().filter_map(finding).collect()
}

/// Publishers that this machine cannot reach, and those that no other machine reaches.
fn unreachable_publishers(discovery: &str, topics: &[Topic]) -> Vec<Finding> {
    let finding = |topic: &Topic| {
        let reason = unreachable_publisher(discovery, &topic.address)?;
        let (name, node) = (escaped(&topic.name), escaped(&topic.publisher_node));
        let (fault, advice) = reason.split_once(": ").unwrap_or((&reason, ""));
        let text = format!("{name} of {node} cannot be reached: {}", escaped(fault));
        Some(Finding::problem("topics", text, advice))
    };
    topics.iter().filter_map(finding).collect()
}

/// Nodes whose topics are on several machines or in several processes: probably two nodes of one name, of
/// which the last one takes the topics that both publish.
fn doubled_nodes(topics: &[Topic], process_of: impl Fn(&Topic) -> Option<u32>) -> Vec<Finding> {
    let mut places = BTreeMap::<&str, BTreeSet<String>>::new();
    for topic in topics {
        let place = match topic.address.strip_prefix("tcp://") {
            Some(place) => place.rsplit_once(':').map(|(host, _)| host.to_owned()),
            None => process_of(topic).map(|pid| format!("process {pid}")),
        };
        places.entry(&topic.publisher_node).or_default().extend(place);
    }
    let finding = |(node, places): (&str, BTreeSet<String>)| {
        let places = places.into_iter().collect::<Vec<_>>().join(" and ");
        let text = format!("node {} publishes from {}", escaped(node), escaped(&places));
        let advice = "two nodes may have this name, and the last one takes the topics of both: give each its own name";
        Finding::warning("nodes", text, advice)
    };
    places.into_iter().filter(|(_, places)| places.len() > 1).map(finding).collect()
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
        let found = check("ipc:///s", topics);
        let lines: Vec<_> = found
            .iter()
            .map(|finding| finding.text.clone())
            .filter(|text| !text.starts_with("libzmq: "))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn reports_publishers_that_registered_their_own_loopback_address() {
        let local = topic("/a", "tcp://127.0.0.1:1", "X", 1);
        let found = check("tcp://192.0.2.1:5555", std::slice::from_ref(&local));
        assert!(found[0].text.contains("/a of node cannot be reached: tcp://127.0.0.1:1 is a"));
        assert!(check("tcp://127.0.0.1:5555", &[local])[0].text.contains("all publishers alive"));
    }

    #[test]
    fn reports_a_node_name_in_two_processes_of_one_machine() {
        let topics = ["/a", "/b", "/c"].map(|name| topic(name, &format!("ipc://{name}"), "X", 1));
        let process = |topic: &Topic| Some(if topic.name == "/c" { 8 } else { 7 });
        let found = doubled_nodes(&topics, process);
        assert_eq!(found[0].text, "node node publishes from process 7 and process 8");
        assert!(doubled_nodes(&topics[..2], process).is_empty());
        assert!(doubled_nodes(&topics, |_| None).is_empty());
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
        let far = topic("/e", "tcp://far:4", "StringMessage", string.fingerprint);
        assert_eq!(texts(&[good.clone(), far]), "node node publishes from far and h");
        let twin = topic("/d", "tcp://h:1", "StringMessage", string.fingerprint);
        assert_eq!(texts(&[good, twin]), "/a and /d share tcp://h:1");
    }
}
