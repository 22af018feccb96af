//! Conditions that a subscriber reports: other types, losses, restarts, silence.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cortex_std::discovery::{Client, Topic};
use cortex_std::wire::discovery::RequestExt;
use cortex_std::wire::{Header, Message, StringMessage, TypeInfo, encode};
use cortex_std::{Loss, LossKind, Node, Queue, Subscriber};
use cortex_tests::graph::Folder;
use cortex_tests::{DEADLINE, wait_until};

use super::{Graph, TOPIC, connect, next, publish};

#[test]
fn a_subscriber_that_ignores_fingerprints_still_checks_fields() {
    #[derive(Debug, PartialEq, Message)]
    #[cortex(class = "robot.msgs.Renamed")]
    struct Renamed<'a> {
        data: &'a str,
    }
    #[derive(Debug, PartialEq, Message)]
    #[cortex(class = "robot.msgs.Number")]
    struct Number {
        data: f64,
    }

    let graph = Graph::new();
    let notes = graph.notes();
    let mut strict = graph.node.subscriber::<Renamed>(TOPIC).create().expect("a subscriber");
    let mut lax = graph
        .node
        .subscriber::<Renamed>(TOPIC)
        .ignore_fingerprint()
        .create()
        .expect("a subscriber");
    let mut other =
        graph.node.subscriber::<Number>(TOPIC).ignore_fingerprint().create().expect("a subscriber");
    wait_until("the subscribers are connected", || {
        let pause = Duration::from_millis(1);
        assert!(strict.recv_timeout(pause).expect("no error").is_none());
        assert!(lax.recv_timeout(pause).expect("no error").is_none());
        assert!(other.recv_timeout(pause).expect("no error").is_none());
        notes.subscriber_count() == 3
    });
    publish(&notes, 1);
    let sample = lax.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(sample.message(), Ok(Renamed { data: "note" }));
    wait_until("the others have it", || {
        assert!(strict.recv_timeout(Duration::ZERO).expect("no error").is_none());
        assert!(other.recv_timeout(Duration::ZERO).expect("no error").is_none());
        strict.stats().rejected.fingerprint == 1 && other.stats().rejected.metadata == 1
    });
}

/// A plain libzmq publisher whose sequence numbers the test sets.
struct LibzmqPublisher {
    socket: zmq::Socket,
}

impl LibzmqPublisher {
    fn new(folder: &Folder) -> Self {
        let socket = zmq::Context::new().socket(zmq::XPUB).expect("a socket");
        let address = folder.address("foreign.sock");
        socket.bind(&address).expect("it binds");
        let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
        let info = Topic {
            name: TOPIC.into(),
            address,
            message_type: TypeInfo::of::<StringMessage<'_>>().name().into(),
            fingerprint: StringMessage::FINGERPRINT,
            publisher_node: "foreign".into(),
        };
        client.register(&info, RequestExt::default()).expect("it is free");
        Self { socket }
    }

    fn send(&self, sequence: u64) {
        let fingerprint = StringMessage::FINGERPRINT;
        let header = Header { fingerprint, timestamp_ns: sequence + 1, sequence }.encode();
        let mut out = [0; 16];
        let mut buffers = Vec::new();
        let metadata =
            encode(&StringMessage { data: "x" }, &mut out, &mut buffers).expect("it encodes");
        self.socket.send_multipart([TOPIC.as_bytes(), &header, metadata], 0).expect("it is sent");
    }
}

#[test]
fn a_gap_is_reported_as_a_loss_and_a_step_back_as_a_restart() {
    let graph = Graph::new();
    let foreign = LibzmqPublisher::new(&graph.folder);
    for queue in [Queue::KeepOldest(0), Queue::KeepNewest(0)] {
        let losses = Arc::new(Mutex::new(Vec::<Loss>::new()));
        let told = Arc::clone(&losses);
        let mut seen = graph
            .node
            .subscriber::<StringMessage>(TOPIC)
            .queue(queue)
            .on_loss(move |loss| {
                told.lock().expect("not poisoned").push(loss);
                panic!("on purpose");
            })
            .create()
            .expect("a subscriber");
        // Subscribed as soon as it gets one of these; they have numbers of their own.
        let mut sequence = 1_000_000;
        wait_until("the subscriber is connected", || {
            sequence += 1;
            foreign.send(sequence);
            seen.recv_timeout(Duration::from_millis(5)).expect("no error").is_some()
        });
        let first = seen.stats();
        let numbers = [0, 1, 5, 6, 0, 1];
        for number in numbers {
            foreign.send(number);
        }
        // Each message is delivered after the report of its loss, in both forms of delivery.
        let came = std::iter::repeat_with(|| next(&mut seen)).skip_while(|&at| at >= 1_000_000);
        assert_eq!(came.take(numbers.len()).collect::<Vec<_>>(), numbers);
        let stats = seen.stats();
        assert_eq!((stats.lost - first.lost, stats.restarted, stats.failed), (3, 2, 3));
        let losses = losses.lock().expect("not poisoned");
        let told: Vec<_> = losses.iter().map(|loss| (loss.kind, loss.header.sequence)).collect();
        assert_eq!(
            told,
            [(LossKind::Restarted, 0), (LossKind::Lost(3), 5), (LossKind::Restarted, 0)]
        );
    }
}

#[test]
fn a_publisher_that_comes_back_elsewhere_is_a_restart_whatever_its_numbers() {
    let graph = Graph::new();
    let (sender, losses) = channel();
    let mut seen = graph
        .node
        .subscriber::<StringMessage>(TOPIC)
        .on_loss(move |loss| sender.send(loss.kind).expect("the receiver exists"))
        .create()
        .expect("a subscriber");
    let discovery = graph.daemon.address();
    let first = Node::builder("first").discovery(discovery).create().expect("a node");
    let notes = first.publisher::<StringMessage>(TOPIC).create().expect("it binds");
    connect(&mut seen, &notes);
    publish(&notes, 1);
    assert_eq!(next(&mut seen), 0);
    drop(first);
    let second = Node::builder("second").discovery(discovery).create().expect("a node");
    let notes = second.publisher::<StringMessage>(TOPIC).create().expect("it binds");
    // No subscriber yet; the sequence numbers are still consumed.
    for _ in 0..50 {
        notes.publish(&StringMessage { data: "early" }).expect("it is published");
    }
    connect(&mut seen, &notes);
    publish(&notes, 1);
    assert!(next(&mut seen) > 1);
    assert_eq!(losses.try_iter().collect::<Vec<_>>(), [LossKind::Restarted]);
    assert_eq!((seen.stats().lost, seen.stats().restarted), (0, 1));
}

const LIMIT: Duration = Duration::from_millis(30);

/// A subscriber with a deadline, and the silences that it reports.
fn with_deadline(
    graph: &Graph,
    queue: Queue,
) -> (Subscriber<StringMessage<'static>>, Receiver<Duration>) {
    let (sender, silences) = channel();
    let subscriber = graph
        .node
        .subscriber(TOPIC)
        .queue(queue)
        .deadline(LIMIT, move |since| sender.send(since).expect("the receiver exists"))
        .create()
        .expect("a subscriber");
    (subscriber, silences)
}

#[test]
fn a_silence_is_reported_once_to_a_blocking_reader() {
    for queue in [Queue::KeepOldest(0), Queue::KeepNewest(0)] {
        let graph = Graph::new();
        let notes = graph.notes();
        let (mut seen, silences) = with_deadline(&graph, queue);
        connect(&mut seen, &notes);
        for round in 0..3 {
            assert!(seen.recv_timeout(LIMIT * 4).expect("no error").is_none());
            let since = silences.recv_timeout(DEADLINE).expect("it is reported");
            assert!(since >= LIMIT);
            assert!(seen.recv_timeout(LIMIT * 4).expect("no error").is_none());
            assert_eq!(silences.try_iter().count(), 0, "once");
            assert_eq!(seen.stats().silences, round + 1);
            publish(&notes, 1);
            assert_eq!(next(&mut seen), round);
        }
    }
}

#[tokio::test]
async fn a_silence_is_reported_once_to_an_async_reader() {
    let graph = Graph::new();
    let notes = graph.notes();
    let (mut seen, silences) = with_deadline(&graph, Queue::KeepOldest(0));
    // Reported before any message was published, too.
    assert!(tokio::time::timeout(LIMIT * 4, seen.recv()).await.is_err());
    assert_eq!(silences.try_iter().count(), 1);
    while notes.subscriber_count() == 0 {
        assert!(tokio::time::timeout(Duration::from_millis(1), seen.recv()).await.is_err());
    }
    publish(&notes, 1);
    assert_eq!(seen.recv().await.expect("no error").header().sequence, 0);
    assert!(tokio::time::timeout(LIMIT * 4, seen.recv()).await.is_err());
    assert_eq!(silences.try_iter().count(), 1);
    assert_eq!(seen.stats().silences, 2);
}
