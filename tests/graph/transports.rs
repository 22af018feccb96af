//! The transports that the address of the daemon suggests: tcp between machines, memory within a
//! process. (Between machines that are more than their loopback: ci/netns.sh.)

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use cortex_std::discovery::{Client, Daemon, DaemonHandle, DiscoveryError};
use cortex_std::wire::{ArrayMessage, ArrayView, StringMessage};
use cortex_std::{CreateError, Node, Published, Publisher, Registration, Subscriber};
use cortex_tests::graph::{Folder, connect, daemon};
use cortex_tests::{DEADLINE, python, wait_until};

type Notes = Publisher<StringMessage<'static>>;

fn tcp_daemon() -> DaemonHandle {
    Daemon::bind("tcp://127.0.0.1:*").expect("it binds").spawn().expect("it starts")
}

fn node(address: &str, name: &str) -> Node {
    Node::builder(name).discovery(address).create().expect("a node")
}

fn publisher(node: &Node, topic: &str) -> Notes {
    node.publisher::<StringMessage>(topic).create().expect("it binds")
}

fn subscriber(node: &Node, topic: &str) -> Subscriber<StringMessage<'static>> {
    node.subscriber::<StringMessage>(topic).create().expect("a subscriber")
}

fn publish(publisher: &Notes, data: &str) {
    let sent = publisher.publish(&StringMessage { data }).expect("it is published");
    assert_eq!(sent, Published::Sent);
}

fn receive(reader: &mut Subscriber<StringMessage<'static>>) -> String {
    let sample = reader.recv_timeout(DEADLINE).expect("no error").expect("in time");
    sample.message().expect("it was checked").data.to_owned()
}

fn wait_for_registration(publisher: &Notes) {
    wait_until("it is registered", || publisher.registration() == Registration::Registered);
}

/// `host:port` of a tcp address.
fn place(address: &str) -> &str {
    address.strip_prefix("tcp://").expect("a tcp address")
}

#[test]
fn behind_a_tcp_daemon_nodes_and_python_reach_each_other_over_tcp() {
    let daemon = tcp_daemon();
    let talker = node(daemon.address(), "talker");
    let listener = node(daemon.address(), "listener");
    let notes = publisher(&talker, "/tcp/both");
    // The daemon is for this machine alone, and so is the publisher.
    assert!(notes.address().starts_with("tcp://127.0.0.1:2"), "{}", notes.address());
    let mut seen = subscriber(&listener, "/tcp/both");
    let mut peer = python::peer(
        "subscriber.py",
        "--topic /tcp/both --message StringMessage --count 1 --discovery"
            .split(' ')
            .chain([daemon.address()]),
    );
    connect(&mut seen, &notes, 2);
    publish(&notes, "far");
    assert_eq!(receive(&mut seen), "far");
    assert_eq!(peer.expect_event("message")["fields"][0]["value"]["str"], "far");

    let mut seen = subscriber(&listener, "/tcp/python");
    let golden = cortex_tests::golden::path("messages.json").display().to_string();
    let _peer = python::peer(
        "publisher.py",
        "--topic /tcp/python --node n --address tcp://127.0.0.1:* --names string_2 --discovery"
            .split(' ')
            .chain([daemon.address(), "--golden", &golden]),
    );
    let expected = cortex_tests::golden::message("string_2");
    assert_eq!(receive(&mut seen), expected["fields"][0]["value"]["str"].as_str().expect("text"));
}

#[test]
fn a_publisher_over_tcp_comes_back_at_the_same_port_unless_it_is_taken() {
    let daemon = tcp_daemon();
    let talker = node(daemon.address(), "returner");
    let listener = node(daemon.address(), "listener");
    let mut seen = subscriber(&listener, "/tcp/again");
    let notes = publisher(&talker, "/tcp/again");
    let address = notes.address().to_owned();
    connect(&mut seen, &notes, 1);
    publish(&notes, "one");
    assert_eq!(receive(&mut seen), "one");

    // The same node, at once, and then another start of it.
    drop(notes);
    let notes = publisher(&talker, "/tcp/again");
    assert_eq!(notes.address(), address);
    drop(talker);
    let talker = node(daemon.address(), "returner");
    let notes = publisher(&talker, "/tcp/again");
    assert_eq!(notes.address(), address);
    connect(&mut seen, &notes, 1);
    publish(&notes, "two");
    assert_eq!(receive(&mut seen), "two");
    assert_eq!(seen.stats().restarted, 1);

    // The port is taken: the publisher binds the next one, and subscribers follow.
    drop(notes);
    let mut thief = None;
    wait_until("the port is free", || {
        thief = TcpListener::bind(place(&address)).ok();
        thief.is_some()
    });
    let notes = publisher(&talker, "/tcp/again");
    assert_ne!(notes.address(), address);
    wait_until("the subscriber follows", || {
        assert!(seen.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
        seen.publisher_address().as_deref() == Some(notes.address())
            && notes.subscriber_count() == 1
    });
    publish(&notes, "three");
    assert_eq!(receive(&mut seen), "three");
}

#[test]
fn a_node_publishes_a_topic_once_over_tcp_too() {
    let daemon = tcp_daemon();
    let node = node(daemon.address(), "twice");
    let first = publisher(&node, "/tcp/once");
    let second = node.publisher::<StringMessage>("/tcp/once").create();
    assert!(matches!(second, Err(CreateError::AlreadyPublished { .. })));
    drop(first);
    publisher(&node, "/tcp/once");
}

#[test]
fn a_tcp_daemon_may_start_late_and_restart() {
    let first = tcp_daemon();
    let address = first.address().to_owned();
    first.stop();
    // No daemon answers; building a node and its parts does not wait for one.
    let node = node(&address, "early");
    let notes = publisher(&node, "/tcp/early");
    let mut seen = subscriber(&node, "/tcp/early");
    assert_eq!(notes.registration(), Registration::Pending);
    let late = || {
        let mut daemon = None;
        wait_until("the port is free", || {
            daemon = Daemon::bind(&address).ok();
            daemon.is_some()
        });
        daemon.expect("it binds").spawn().expect("it starts")
    };
    let daemon = late();
    wait_for_registration(&notes);
    connect(&mut seen, &notes, 1);
    daemon.stop();
    // The new daemon has no state; the node registers its publisher again.
    let _daemon = late();
    let mut client = Client::connect(&address, DEADLINE).expect("a client");
    let found = client.wait_for_topic("/tcp/early", DEADLINE).expect("an answer");
    assert_eq!(found.expect("it is registered").topic.address, notes.address());
    publish(&notes, "still here");
    assert_eq!(receive(&mut seen), "still here");
    assert_eq!(seen.stats().lost + seen.stats().restarted, 0);
}

#[test]
fn a_publisher_on_all_interfaces_is_registered_at_the_one_that_leads_to_the_daemon() {
    let daemon = tcp_daemon();
    let node = node(daemon.address(), "wide");
    let notes = node
        .publisher::<StringMessage>("/tcp/wide")
        .bind("tcp://0.0.0.0:*")
        .create()
        .expect("it binds");
    assert!(notes.address().starts_with("tcp://127.0.0.1:"), "{}", notes.address());
    let named = node
        .publisher::<StringMessage>("/tcp/named")
        .advertise("robot.example")
        .create()
        .expect("it binds");
    wait_for_registration(&notes);
    wait_for_registration(&named);
    let mut client = Client::connect(daemon.address(), DEADLINE).expect("a client");
    let mut at = |name| client.look_up(name).expect("an answer").expect("known").topic.address;
    assert_eq!(at("/tcp/wide"), notes.address());
    assert!(at("/tcp/named").starts_with("tcp://robot.example:2"));
}

#[test]
fn nodes_of_one_process_find_each_other_without_a_daemon_or_a_file() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let files = folder.files();
    let inside = |name: &str| {
        let node = Node::builder(name).discovery("inproc://quiet").folder(folder.path());
        node.create().expect("a node")
    };
    let (talker, listener) = (inside("talker"), inside("listener"));
    let mut early = subscriber(&listener, "/inside");
    let notes = publisher(&talker, "/inside");
    assert!(notes.address().starts_with("inproc://"), "{}", notes.address());
    wait_for_registration(&notes);
    let mut late = subscriber(&talker, "/inside");
    wait_until("both are connected", || {
        for reader in [&mut early, &mut late] {
            assert!(reader.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
        }
        notes.subscriber_count() == 2
    });
    publish(&notes, "psst");
    assert_eq!(receive(&mut early), "psst");
    assert_eq!(receive(&mut late), "psst");

    // A client of this registry finds the topic; those of another registry or of a daemon do not.
    let mut client = Client::connect("inproc://quiet", DEADLINE).expect("a client");
    assert_eq!(client.list().expect("an answer").len(), 1);
    assert!(matches!(client.shut_down(), Err(DiscoveryError::Refused { .. })));
    for other in ["inproc://other", daemon.address()] {
        let mut client = Client::connect(other, DEADLINE).expect("a client");
        assert_eq!(client.list().expect("an answer"), []);
    }
    assert_eq!(folder.files(), files);
    drop(talker);
    assert_eq!(client.list().expect("an answer"), []);
}

#[test]
fn inside_a_process_a_topic_has_one_publisher_unless_it_is_shared() {
    let [first, second] = ["first", "second"].map(|name| node("inproc://owners", name));
    let ours = publisher(&first, "/t");
    wait_for_registration(&ours);
    let again = first.publisher::<StringMessage>("/t").create();
    assert!(matches!(again, Err(CreateError::AlreadyPublished { .. })));
    let theirs = publisher(&second, "/t");
    wait_until("it is refused", || matches!(theirs.registration(), Registration::Refused(_)));
    drop(ours);
    wait_for_registration(&theirs);

    let shared = [&first, &second]
        .map(|node| node.publisher::<StringMessage>("/log").shared().create().expect("it binds"));
    let mut seen = subscriber(&first, "/log");
    for notes in &shared {
        connect(&mut seen, notes, 1);
    }
    for (notes, text) in shared.iter().zip(["one", "two"]) {
        publish(notes, text);
        assert_eq!(receive(&mut seen), text);
    }
    assert_eq!(seen.stats().restarted, 0);
}

#[test]
fn inside_a_process_a_publisher_that_comes_back_is_found_again() {
    let listener = node("inproc://comings", "listener");
    let mut seen = subscriber(&listener, "/t");
    for round in 0..3 {
        let talker = node("inproc://comings", if round == 1 { "other" } else { "talker" });
        let notes = publisher(&talker, "/t");
        connect(&mut seen, &notes, 1);
        publish(&notes, "hello");
        assert_eq!(receive(&mut seen), "hello");
        let stats = seen.stats();
        assert_eq!((stats.lost, stats.restarted), (0, round));
    }
}

#[test]
fn inside_a_process_a_full_queue_is_reported_and_the_gap_counted() {
    let node = node("inproc://full", "both");
    let notes = node.publisher::<StringMessage>("/t").queue(3).create().expect("it binds");
    let mut seen = node.subscriber::<StringMessage>("/t").queue(3).create().expect("a subscriber");
    connect(&mut seen, &notes, 1);
    let publish = || notes.publish(&StringMessage { data: "x" }).expect("it is published");
    let mut sent = 0;
    while publish() == Published::Sent {
        sent += 1;
        assert!(sent < 100, "queues of 3 take {sent} messages");
    }
    assert_eq!(notes.stats().congested, 1);
    for _ in 0..sent {
        assert_eq!(receive(&mut seen), "x");
    }
    wait_until("there is room again", || {
        let _ = publish();
        seen.recv_timeout(Duration::from_millis(10)).expect("no error").is_some()
    });
    while seen.recv_timeout(Duration::from_millis(50)).expect("no error").is_some() {}
    let stats = seen.stats();
    assert!(stats.lost >= 1);
    assert_eq!(stats.received + stats.lost, notes.stats().published);
}

#[test]
fn inside_a_process_an_owner_is_received_without_a_copy() {
    let node = node("inproc://owner", "both");
    let images = node.publisher::<ArrayMessage>("/t").create().expect("it binds");
    let mut seen = node.subscriber::<ArrayMessage>("/t").create().expect("a subscriber");
    connect(&mut seen, &images, 1);
    let pixels = Arc::new(vec![7_u8; 1 << 20]);
    let sent = images
        .publish_from(Arc::clone(&pixels), |pixels| ArrayMessage {
            data: ArrayView::from_slice(pixels, &[pixels.len()]).expect("it fits"),
            name: "",
            frame_id: "",
        })
        .expect("it is published");
    assert_eq!(sent, Published::Sent);
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    let message = sample.message().expect("it was checked");
    assert_eq!(message.data.data().as_ptr(), pixels.as_ptr());
    drop(sample);
    wait_until("the owner is released", || {
        images.subscriber_count() == 1 && Arc::strong_count(&pixels) == 1
    });
}

#[tokio::test]
async fn inside_a_process_callbacks_run_as_they_do_elsewhere() {
    let node = node("inproc://async", "both");
    let notes = node.publisher::<StringMessage>("/t").latched().create().expect("it binds");
    // Latched: a later subscriber receives it.
    notes.publish(&StringMessage { data: "kept" }).expect("it is published");
    let handle = node.handle();
    let seen = node
        .subscriber::<StringMessage>("/t")
        .on_message(async move |message, _| {
            assert_eq!(message.data, "kept");
            handle.shutdown();
        })
        .expect("a subscriber");
    tokio::time::timeout(DEADLINE, node.run()).await.expect("in time").expect("no error");
    assert_eq!((seen.stats().received, seen.stats().failed), (1, 0));
}
