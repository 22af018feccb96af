//! The subscribers of publishers on this machine, as the publishers or the kernel tell.

use std::collections::BTreeMap;

use cortex_std::discovery::Topic;
use cortex_std::inspect::{PublisherReport, publisher_at};
use cortex_std::{PeerStats, Transport};
use serde_json::{Value as Json, json};

use crate::listener::{Listener, socket_path};
use crate::output::{Paint, byte_count, escaped};

/// Publishers that are asked at once: one that is stopped answers only after a second.
const THREADS: usize = 8;

/// What is known of each of some publishers.
#[derive(Debug)]
pub(crate) struct Subscribers {
    /// In the order of the topics.
    publishers: Vec<Asked>,
    /// The node of each process, where it has one.
    nodes: BTreeMap<u32, Option<String>>,
}

/// What a publisher answered.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// `None` where it does not answer.
    pub(crate) transport: Option<Transport>,
    /// `None` where it is unknown who subscribes.
    pub(crate) subscribers: Option<Vec<PeerStats>>,
}

impl Asked {
    fn new(topic: &Topic) -> Self {
        match socket_path(&topic.address).map(publisher_at) {
            None => Self { transport: Some(Transport::Zmq), subscribers: None },
            Some(Ok(PublisherReport { transport, subscribers, .. })) => {
                Self { transport: Some(transport), subscribers: Some(subscribers) }
            }
            Some(Err(_)) => Self::default(),
        }
    }

    pub(crate) fn list(&self) -> &[PeerStats] {
        self.subscribers.as_deref().unwrap_or_default()
    }

    /// `local`, `libzmq` or, where the publisher does not answer, null.
    pub(crate) fn transport_json(&self) -> Json {
        json!(self.transport.map(Transport::as_str))
    }
}

impl Subscribers {
    /// Asks the publishers of `topics`; names processes by the nodes of `all`.
    pub(crate) fn of(topics: &[Topic], all: &[Topic]) -> Self {
        let len = topics.len().div_ceil(THREADS).max(1);
        let publishers = std::thread::scope(|scope| {
            let ask = |part| {
                scope.spawn(move || -> Vec<_> {
                    let part: &[Topic] = part;
                    part.iter().map(Asked::new).collect()
                })
            };
            let threads: Vec<_> = topics.chunks(len).map(ask).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        });
        let mut nodes = BTreeMap::<u32, Option<String>>::new();
        for topic in all {
            let Some(pid) = Listener::at(&topic.address).pid() else { continue };
            let node = Some(topic.publisher_node.clone());
            // A process of several nodes names none.
            let known = nodes.entry(pid).or_insert_with(|| node.clone());
            if *known != node {
                *known = None;
            }
        }
        Self { publishers, nodes }
    }

    /// What the publisher of each topic answered.
    pub(crate) fn publishers(&self) -> impl Iterator<Item = &Asked> {
        self.publishers.iter()
    }

    /// The node of a subscriber: as it says, or the only one that publishes from its process.
    pub(crate) fn node<'s>(&'s self, peer: &'s PeerStats) -> Option<&'s str> {
        let known = || self.nodes.get(&peer.pid?)?.as_deref();
        peer.node.as_deref().or_else(known)
    }

    /// The node of a subscriber or, where that is unknown, its process.
    pub(crate) fn name(&self, peer: &PeerStats) -> String {
        match (self.node(peer), peer.process.as_deref(), peer.pid) {
            (Some(node), _, _) => escaped(node),
            (None, Some(process), Some(pid)) => format!("{} {pid}", escaped(process)),
            (None, None, Some(pid)) => format!("process {pid}"),
            (None, _, None) => "an unknown process".to_owned(),
        }
    }

    /// A subscriber with what it lost and what waits for it.
    pub(crate) fn describe(&self, peer: &PeerStats, paint: Paint) -> String {
        let mut text = self.name(peer);
        if let (Some(pid), Some(_)) = (peer.pid, self.node(peer)) {
            text += &paint.faint(&format!(" (process {pid})"));
        }
        if let Some(lost @ 1..) = peer.lost {
            text += &paint.bad(&format!(", lost {lost}"));
        }
        if let (Some(waiting @ 1..), Some(bytes)) = (peer.waiting, peer.waiting_bytes) {
            text += &paint.warning(&format!(", {waiting} waiting ({})", byte_count(bytes as f64)));
        }
        if let Some(lent @ 1..) = peer.lent {
            text += &paint.faint(&format!(", {lent} in shared memory"));
        }
        if let Some(held) = held(peer) {
            text += &format!(", holds {held}");
        }
        text
    }

    /// The JSON object of a subscriber.
    pub(crate) fn to_json(&self, peer: &PeerStats) -> Json {
        json!({
            "node": self.node(peer),
            "process": peer.process,
            "pid": peer.pid,
            "lost": peer.lost,
            "waiting": peer.waiting,
            "waiting_bytes": peer.waiting_bytes,
            "shared_memory": peer.lent.is_some(),
            "lent": peer.lent,
            "held": peer.held,
            "held_bytes": peer.held_bytes,
            "held_seconds": peer.held_for.map(|age| age.as_secs_f64()),
        })
    }

    /// The subscribers of one publisher as JSON; null where they are unknown.
    pub(crate) fn list_json(&self, asked: &Asked) -> Json {
        match &asked.subscribers {
            Some(list) => list.iter().map(|peer| self.to_json(peer)).collect(),
            None => Json::Null,
        }
    }
}

/// Arrays of which a subscriber holds the samples for longer than it takes to receive them.
pub(crate) fn held(peer: &PeerStats) -> Option<String> {
    let (held @ 1.., bytes, age) = (peer.held?, peer.held_bytes?, peer.held_for?) else {
        return None;
    };
    let s = if held == 1 { "" } else { "s" };
    let (bytes, age) = (byte_count(bytes as f64), age.as_secs());
    (age >= 1).then(|| format!("{held} array{s} ({bytes}) for {age} s"))
}
