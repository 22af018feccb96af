//! Rust and Python nodes on one graph, under either daemon.

use std::time::Duration;

use cortex_std::discovery::{Client, Daemon, DaemonHandle};
use cortex_std::wire::{
    ArrayMessage, ImageMessage, Message, OwnedValue, StringMessage, TypeInfo, Value,
};
use cortex_std::{Node, Sample};
use cortex_tests::golden::{self, without_repr};
use cortex_tests::graph::Folder;
use cortex_tests::{DEADLINE, Program, python, typed, wait_until};
use serde_json::Value as Json;

/// Either daemon.
enum AnyDaemon {
    Rust(DaemonHandle),
    Python(Program),
}

#[derive(Clone, Copy)]
enum Which {
    Rust,
    Python,
}

fn start(which: Which, folder: &Folder) -> AnyDaemon {
    match which {
        Which::Rust => {
            let daemon = Daemon::bind(&folder.discovery()).expect("it binds");
            AnyDaemon::Rust(daemon.spawn().expect("it starts"))
        }
        Which::Python => {
            let mut daemon = python::peer("daemon.py", ["--address", &folder.discovery()]);
            daemon.expect_event("ready");
            AnyDaemon::Python(daemon)
        }
    }
}

fn end(daemon: AnyDaemon, folder: &Folder) {
    match daemon {
        AnyDaemon::Rust(daemon) => daemon.stop(),
        AnyDaemon::Python(mut daemon) => {
            daemon.terminate();
            assert!(daemon.wait().success(), "{}", daemon.stderr());
        }
    }
    assert_eq!(folder.files(), Vec::<std::path::PathBuf>::new());
}

/// The golden messages of a type that are exchanged.
fn names<M: Message>() -> &'static [&'static str] {
    match TypeInfo::of::<M>().name() {
        "StringMessage" => &["string_0", "string_2", "string_6", "string_7"],
        "ArrayMessage" => {
            &["array_|u1", "array_<f4", "array_>i2", "array_empty", "array_fortran", "array_4k"]
        }
        "ImageMessage" => &["image_rgb", "image_mono", "image_explicit"],
        other => panic!("no golden messages of {other} chosen"),
    }
}

/// Publishes golden messages from a Rust node until a Python subscriber has seen each.
fn rust_to_python<M: Message + 'static>(which: Which) {
    let folder = Folder::new();
    let daemon = start(which, &folder);
    let node = Node::builder("talker").discovery(&folder.discovery()).create().expect("a node");
    let publisher = node.publisher::<M>("/talk").queue(0).create().expect("a publisher");

    let cases: Vec<Json> = names::<M>().iter().map(|name| golden::message(name)).collect();
    let count = (cases.len() * 2).to_string();
    let discovery = folder.discovery();
    let mut subscriber = python::peer(
        "subscriber.py",
        [
            ["--discovery", &discovery],
            ["--topic", "/talk"],
            ["--message", TypeInfo::of::<M>().name()],
            ["--count", &count],
        ]
        .into_iter()
        .flatten(),
    );
    subscriber.expect_event("connected");
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("a subscriber");
    // Each message is made from the golden frames: read here, and written again.
    let frames: Vec<_> = cases.iter().map(golden::frames).collect();
    for frames in frames.iter().cycle().take(cases.len() * 2) {
        let message = cortex_std::wire::decode::<M>(frames).expect("a golden message");
        publisher.publish(&message).expect("it is published");
    }
    for (at, case) in cases.iter().cycle().take(cases.len() * 2).enumerate() {
        let message = subscriber.expect_event("message");
        assert_eq!(message["sequence"], at);
        let expected = without_repr(case["fields"].clone());
        assert_eq!(without_repr(message["fields"].clone()), expected, "{}", case["name"]);
    }
    subscriber.expect_event("done");
    assert!(subscriber.wait().success());
    drop(node);
    end(daemon, &folder);
}

/// The fields of a sample, through dynamic values, in the notation of the golden files.
fn notated<M: Message + 'static>(sample: &Sample<M>) -> Vec<Json> {
    let list = cortex_std::wire::Decoder::new(sample)
        .and_then(|mut input| <Vec<OwnedValue> as cortex_std::wire::Decode>::decode(&mut input));
    list.expect("it was checked").iter().map(typed::notate).collect()
}

/// Receives golden messages that a Python node publishes.
fn python_to_rust<M: Message + 'static>(which: Which) {
    let folder = Folder::new();
    let daemon = start(which, &folder);
    let node = Node::builder("listener").discovery(&folder.discovery()).create().expect("a node");
    let mut subscriber = node.subscriber::<M>("/talk").create().expect("a subscriber");

    let golden_file = golden::path("messages.json").display().to_string();
    let topics = folder.path().join("topics").display().to_string();
    let discovery = folder.discovery();
    let names = names::<M>();
    let mut publisher = python::peer(
        "publisher.py",
        [
            ["--discovery", &discovery],
            ["--node", "python"],
            ["--topic", "/talk"],
            ["--ipc-dir", &topics],
            ["--golden", &golden_file],
            ["--names", &names.join(",")],
            ["--period", "0.005"],
        ]
        .into_iter()
        .flatten(),
    );
    publisher.expect_event("ready");
    // The Python side cycles through the messages; the sequence number identifies each.
    for _ in 0..names.len() * 3 {
        let sample = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
        let at = usize::try_from(sample.header().sequence).expect("a small number");
        let case = golden::message(names[at % names.len()]);
        let expected: Vec<_> = typed::fields(&case).iter().map(typed::notate).collect();
        assert_eq!(notated(&sample), expected, "{}", case["name"]);
        assert!(sample.message().is_ok());
    }
    let stats = subscriber.stats();
    assert_eq!((stats.lost, stats.rejected.total()), (0, 0));
    publisher.terminate();
    assert!(publisher.wait().success(), "{}", publisher.stderr());
    drop(node);
    drop(subscriber);
    end(daemon, &folder);
}

#[test]
fn strings_reach_python_under_either_daemon() {
    rust_to_python::<StringMessage<'_>>(Which::Rust);
    rust_to_python::<StringMessage<'_>>(Which::Python);
}

#[test]
fn arrays_reach_python_under_either_daemon() {
    rust_to_python::<ArrayMessage<'_>>(Which::Rust);
    rust_to_python::<ArrayMessage<'_>>(Which::Python);
}

#[test]
fn images_reach_python_under_either_daemon() {
    rust_to_python::<ImageMessage<'_>>(Which::Rust);
    rust_to_python::<ImageMessage<'_>>(Which::Python);
}

#[test]
fn strings_arrive_from_python_under_either_daemon() {
    python_to_rust::<StringMessage<'_>>(Which::Rust);
    python_to_rust::<StringMessage<'_>>(Which::Python);
}

#[test]
fn arrays_arrive_from_python_under_either_daemon() {
    python_to_rust::<ArrayMessage<'_>>(Which::Rust);
    python_to_rust::<ArrayMessage<'_>>(Which::Python);
}

#[test]
fn images_arrive_from_python_under_either_daemon() {
    python_to_rust::<ImageMessage<'_>>(Which::Rust);
    python_to_rust::<ImageMessage<'_>>(Which::Python);
}

#[test]
fn our_client_sends_every_command_to_either_daemon() {
    use cortex_std::discovery::{DiscoveryError, Topic};
    use cortex_std::wire::discovery::RequestExt;

    for which in [Which::Rust, Which::Python] {
        let folder = Folder::new();
        let daemon = start(which, &folder);
        let mut client =
            Client::connect(&folder.discovery(), Duration::from_secs(5)).expect("a client");
        client.ping().expect("an answer");
        assert_eq!(client.list().expect("an answer"), []);
        assert_eq!(client.look_up("/t").expect("an answer"), None);
        let topic = Topic {
            name: "/t".into(),
            address: folder.address("t.sock"),
            message_type: "StringMessage".into(),
            fingerprint: StringMessage::FINGERPRINT,
            publisher_node: "a".into(),
        };
        let ext = RequestExt { layout: Some(7), ..RequestExt::default() };
        client.register(&topic, ext).expect("it is free");
        client.register(&topic, ext).expect("it is ours");
        let found = client.look_up("/t").expect("an answer").expect("it is there");
        assert_eq!(found.topic, topic);
        let other = Topic { publisher_node: "b".into(), ..topic.clone() };
        let error = client.register(&other, ext).expect_err("it is taken");
        assert!(matches!(error, DiscoveryError::AlreadyExists { .. }), "{error}");
        assert_eq!(client.list().expect("an answer"), std::slice::from_ref(&topic));
        match which {
            // Only a Rust daemon has an epoch, and remembers the layout.
            Which::Rust => {
                assert!(client.epoch().is_some());
                assert_eq!(found.layout, Some(7));
            }
            Which::Python => {
                assert_eq!(client.epoch(), None);
                assert_eq!(found.layout, None);
            }
        }
        assert!(client.unregister(&topic).expect("an answer"));
        assert!(!client.unregister(&topic).expect("an answer"));
        client.shut_down().expect("an answer");
        wait_until("the daemon is gone", || client.ping().is_err());
        drop(daemon);
    }
}

#[test]
fn both_sides_see_the_same_values_of_an_image() {
    // A check of the notation itself: it writes the value of the struct's field.
    let case = golden::message("image_explicit");
    let frames = golden::frames(&case);
    let image = cortex_std::wire::decode::<ImageMessage<'_>>(&frames).expect("it decodes");
    let width = OwnedValue::from(Value::from(image.width));
    assert_eq!(typed::notate(&width), case["fields"][2]["value"]);
}
