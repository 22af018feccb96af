//! What carries messages at ipc addresses, and what the local transport tells of each subscriber.

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use cortex_std::inspect::publisher_at;
use cortex_std::raw::{RawOptions, RawPublisher, RawSubscriber};
use cortex_std::wire::StringMessage;
use cortex_std::{Node, PeerStats, Published, Publisher, Transport};
use cortex_tests::graph::{Folder, connect, daemon};
use cortex_tests::{DEADLINE, python, wait_until};

fn node(folder: &Folder, name: &str, transport: Transport) -> Node {
    let node = Node::builder(name).discovery(&folder.discovery()).transport(transport);
    node.create().expect("a node")
}

fn peers(publisher: &Publisher<StringMessage<'static>>) -> Vec<PeerStats> {
    publisher.stats().peers
}

/// ci/test.sh runs this with each value of `CORTEX_TRANSPORT`.
#[test]
fn a_builder_chooses_the_transport_whatever_the_environment_says() {
    const BOTH: [Transport; 2] = [Transport::Zmq, Transport::Local];
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    for publishing in BOTH {
        for subscribing in BOTH {
            let talker = node(&folder, "talker", publishing);
            let listener = node(&folder, "listener", subscribing);
            let notes = talker.publisher::<StringMessage>("/t").create().expect("it binds");
            assert_eq!(notes.transport(), publishing);
            let mut seen =
                listener.subscriber::<StringMessage>("/t").create().expect("a subscriber");
            connect(&mut seen, &notes, 1);
            let sent = notes.publish(&StringMessage { data: "hello" });
            assert_eq!(sent.expect("it is published"), Published::Sent);
            let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
            assert_eq!(sample.message().expect("it was checked").data, "hello");
        }
        let address = folder.address(publishing.as_str());
        let options = RawOptions::default().transport(publishing);
        let frames = RawPublisher::bind_with(&address, &options).expect("it binds");
        assert_eq!(frames.transport(), publishing);
        for subscribing in BOTH {
            let reader = RawSubscriber::with_queue(10).expect("a subscriber");
            let mut reader = reader.transport(subscribing);
            reader.subscribe(b"").expect("it subscribes");
            reader.connect_also(&address).expect("it connects");
            frames.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
            assert_eq!(frames.send(&[b"raw"]).expect("it is sent"), Published::Sent);
            let message = reader.recv_timeout(DEADLINE).expect("no error").expect("in time");
            assert_eq!(message.frame(0), Some(&b"raw"[..]));
            reader.disconnect(&address).expect("it was connected");
            // libzmq disconnects within a call to the socket.
            drop(reader);
            wait_until(&format!("{subscribing} left {publishing}"), || {
                frames.subscriber_count() == 0
            });
        }
    }
}

#[test]
fn stats_name_each_subscriber_and_say_what_it_lost_and_what_waits_for_it() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (talker, listener) =
        (node(&folder, "talker", Transport::Local), node(&folder, "stuck", Transport::Local));
    let notes = talker.publisher::<StringMessage>("/t").queue(2).create().expect("it binds");
    let mut seen =
        listener.subscriber::<StringMessage>("/t").queue(2).create().expect("it follows");
    connect(&mut seen, &notes, 1);
    let [peer] = &peers(&notes)[..] else { panic!("one subscriber") };
    let pid = std::process::id();
    assert_eq!((peer.pid, peer.node.as_deref()), (Some(pid), Some("stuck")));
    assert_eq!((peer.lost, peer.waiting, peer.waiting_bytes), (Some(0), Some(0), Some(0)));
    assert!(peer.process.is_some());

    let data = "x".repeat(1_000_000);
    let mut sent = 0;
    while notes.stats().congested < 3 {
        notes.publish(&StringMessage { data: &data }).expect("it is published");
        sent += 1;
        assert!(sent < 100, "queues of 2 take {sent} messages");
    }
    let [peer] = &peers(&notes)[..] else { panic!("one subscriber") };
    assert_eq!(peer.lost, Some(3));
    assert!((2..=3).contains(&peer.waiting.expect("known")), "{peer:?}");
    let bytes = peer.waiting_bytes.expect("known");
    assert!((1_000_000..4_000_000).contains(&bytes), "{peer:?}");
    for _ in 0..sent - 3 {
        assert!(seen.recv_timeout(DEADLINE).expect("no error").is_some());
    }
    wait_until("nothing waits", || peers(&notes)[0].waiting == Some(0));
    drop(seen);
    wait_until("it is gone", || peers(&notes).is_empty());
}

#[test]
fn a_tool_sees_the_subscribers_of_any_publisher_on_this_machine() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    for transport in [Transport::Local, Transport::Zmq] {
        let (talker, listener) =
            (node(&folder, "talker", transport), node(&folder, "listener", Transport::Local));
        let notes = talker.publisher::<StringMessage>("/t").create().expect("it binds");
        let mut seen = listener.subscriber::<StringMessage>("/t").create().expect("it follows");
        connect(&mut seen, &notes, 1);
        let arguments = ["--topic", "/t", "--message", "StringMessage", "--count", "1"];
        let mut python = python::peer(
            "subscriber.py",
            arguments.into_iter().chain(["--discovery", &folder.discovery()]),
        );
        wait_until("both subscribe", || notes.subscriber_count() == 2);
        let path = notes.address().strip_prefix("ipc://").expect("an ipc address");
        let report = publisher_at(Path::new(path)).expect("it answers");
        assert_eq!(report.transport, transport);
        assert_eq!(report.subscribers.len(), 2, "{report:?}");
        let find =
            |pid| report.subscribers.iter().find(|peer| peer.pid == Some(pid)).expect("seen");
        let (ours, theirs) = (find(std::process::id()), find(python.id()));
        let is_local = transport == Transport::Local;
        assert_eq!(ours.node.as_deref(), is_local.then_some("listener"));
        assert_eq!((theirs.node.as_deref(), theirs.lost), (None, is_local.then_some(0)));
        assert!(theirs.process.as_deref().expect("known").starts_with("python"), "{theirs:?}");
        // The tool itself is no subscriber.
        assert_eq!(notes.subscriber_count(), 2);
        assert_eq!(notes.publish(&StringMessage { data: "x" }).expect("sent"), Published::Sent);
        python.expect_event("message");
        assert!(seen.recv_timeout(DEADLINE).expect("no error").is_some());
    }
    assert!(publisher_at(&folder.path().join("absent")).is_err());
    // The daemon is no publisher.
    assert!(publisher_at(&folder.path().join("discovery.sock")).is_err());
}

/// The times a thread of this process began to wait.
fn waits(tid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/self/task/{tid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.expect("a count").trim().parse().expect("a number")
}

#[test]
fn a_blocked_publish_waits_for_the_slowest_subscriber_without_polling() {
    const COUNT: usize = 12;
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (talker, listener) =
        (node(&folder, "talker", Transport::Local), node(&folder, "listener", Transport::Local));
    let notes = talker.publisher::<StringMessage>("/t").queue(1).block_for(DEADLINE);
    let notes = notes.create().expect("it binds");
    let reader = || listener.subscriber::<StringMessage>("/t").queue(1).create().expect("follows");
    let (mut slow, mut fast) = (reader(), reader());
    connect(&mut slow, &notes, 1);
    connect(&mut fast, &notes, 2);
    let publishing = notes.clone();
    let (sender, tid) = channel();
    let publisher = std::thread::spawn(move || {
        sender.send(rustix::thread::gettid().as_raw_nonzero().get()).expect("it is awaited");
        let data = "x".repeat(1_000_000);
        for _ in 0..COUNT {
            let sent = publishing.publish(&StringMessage { data: &data }).expect("published");
            assert_eq!(sent, Published::Sent);
        }
    });
    let tid = tid.recv_timeout(DEADLINE).expect("it runs");
    // The fast one reads whatever comes, until nothing comes because of the slow one.
    let mut received = 0;
    while fast.recv_timeout(Duration::from_millis(200)).expect("no error").is_some() {
        received += 1;
    }
    assert!(received < COUNT && !publisher.is_finished());
    let before = waits(tid);
    assert!(fast.recv_timeout(Duration::from_millis(300)).expect("no error").is_none());
    assert!(waits(tid) - before <= 3, "{} waits", waits(tid) - before);

    let reading = std::thread::spawn(move || {
        for _ in 0..COUNT {
            assert!(slow.recv_timeout(DEADLINE).expect("no error").is_some());
        }
        slow.stats()
    });
    for _ in received..COUNT {
        assert!(fast.recv_timeout(DEADLINE).expect("no error").is_some());
    }
    publisher.join().expect("it publishes");
    assert_eq!((reading.join().expect("it reads").lost, fast.stats().lost), (0, 0));
    assert!(peers(&notes).iter().all(|peer| peer.lost == Some(0)));
}
