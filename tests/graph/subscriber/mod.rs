//! Subscribers: queues for a slow reader, forms of delivery, and losses, restarts and silences.

use std::time::Duration;

use cortex_std::discovery::{Daemon, DaemonHandle};
use cortex_std::wire::StringMessage;
use cortex_std::{Node, Published, Publisher, Queue, Subscriber, SubscriberStats};
use cortex_tests::graph::Folder;
use cortex_tests::{DEADLINE, wait_until};

mod forms;
mod notices;
mod queues;

type Notes = Publisher<StringMessage<'static>>;

const TOPIC: &str = "/notes";

/// A graph with one node that publishes and subscribes.
struct Graph {
    node: Node,
    daemon: DaemonHandle,
    folder: Folder,
}

impl Graph {
    fn new() -> Self {
        let folder = Folder::new();
        let daemon =
            Daemon::bind(&folder.discovery()).expect("it binds").spawn().expect("it starts");
        let node = Node::builder("both").discovery(daemon.address()).create().expect("a node");
        Self { node, daemon, folder }
    }

    /// A publisher that loses nothing.
    fn notes(&self) -> Notes {
        self.node.publisher(TOPIC).queue(0).create().expect("it binds")
    }

    fn subscriber(&self, queue: impl Into<Queue>) -> Subscriber<StringMessage<'static>> {
        self.node.subscriber(TOPIC).queue(queue).create().expect("a subscriber")
    }
}

fn publish(notes: &Notes, count: u64) {
    for _ in 0..count {
        let sent = notes.publish(&StringMessage { data: "note" }).expect("it is published");
        assert_eq!(sent, Published::Sent);
    }
}

fn wait_for_subscribers(notes: &Notes, count: usize) {
    wait_until("the subscribers are connected", || notes.subscriber_count() == count);
}

/// Connects a subscriber that does so only while it receives.
fn connect(subscriber: &mut Subscriber<StringMessage<'static>>, notes: &Notes) {
    wait_until("the subscriber is connected", || {
        assert!(subscriber.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
        notes.subscriber_count() > 0
    });
}

fn next(subscriber: &mut Subscriber<StringMessage<'static>>) -> u64 {
    let sample = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
    sample.header().sequence
}

fn accounted(stats: &SubscriberStats) -> u64 {
    stats.received + stats.lost + stats.overwritten + stats.rejected.total()
}
