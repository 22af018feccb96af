//! The clients of the daemon, and a node's requests about its graph.

use std::time::{Duration, Instant};

use cortex_std::discovery::{AsyncClient, Client, DiscoveryError, Topic};
use cortex_std::wire::StringMessage;
use cortex_std::wire::discovery::RequestExt;
use cortex_std::{Node, Registration};
use cortex_tests::graph::{Folder, daemon};
use cortex_tests::{DEADLINE, Program, Signal, python, wait_until};

/// So long that no test passes by waiting for its end.
const LONG: Duration = Duration::from_secs(600);

fn topic(name: &str) -> Topic {
    Topic {
        name: name.into(),
        address: "tcp://127.0.0.1:9".into(),
        message_type: "StringMessage".into(),
        fingerprint: 7,
        publisher_node: "n".into(),
    }
}

/// A node that never is the daemon itself.
fn node(folder: &Folder, name: &str) -> Node {
    let node = Node::builder(name).discovery(&folder.discovery()).host_discovery(false);
    node.create().expect("a node")
}

fn python_daemon(folder: &Folder) -> Program {
    let discovery = folder.discovery();
    let mut daemon = python::peer("daemon.py", ["--address", discovery.as_str()]);
    daemon.expect_event("ready");
    daemon
}

/// Every command, once.
fn send_every_command(client: &mut Client) {
    client.ping().expect("pong");
    assert!(client.look_up("/a").expect("an answer").is_none());
    client.register(&topic("/a"), RequestExt::default()).expect("it is registered");
    client.register(&topic("/b"), RequestExt::default()).expect("it is registered");
    let other = Topic { publisher_node: "m".into(), ..topic("/a") };
    let taken = client.register(&other, RequestExt { shared: true, ..RequestExt::default() });
    assert!(matches!(taken, Err(DiscoveryError::AlreadyExists { .. })), "{taken:?}");
    let found = client.look_up("/a").expect("an answer").expect("it is there");
    assert_eq!((found.topic.clone(), found.publishers), (topic("/a"), vec![topic("/a")]));
    let mut names: Vec<_> =
        client.list().expect("an answer").into_iter().map(|topic| topic.name).collect();
    names.sort();
    assert_eq!(names, ["/a", "/b"]);
    assert!(client.unregister(&topic("/a")).expect("an answer"));
    assert!(!client.unregister(&topic("/a")).expect("an answer"));
    client.shut_down().expect("it ends");
}

#[test]
fn the_client_works_with_either_daemon() {
    for python in [false, true] {
        let folder = Folder::new();
        let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
        if python {
            let mut daemon = python_daemon(&folder);
            send_every_command(&mut client);
            assert!(daemon.wait().success());
        } else {
            let daemon = daemon(&folder);
            send_every_command(&mut client);
            assert!(client.epoch().is_some());
            wait_until("the daemon ends", || daemon.is_finished());
        }
    }
}

#[tokio::test]
async fn the_async_client_works_with_either_daemon() {
    for python in [false, true] {
        let folder = Folder::new();
        let mut client = AsyncClient::connect(&folder.discovery(), DEADLINE).expect("a client");
        let missing = client.ping().await;
        assert!(matches!(missing, Err(DiscoveryError::Unreachable { .. })), "{missing:?}");
        let daemons = match python {
            true => (Some(python_daemon(&folder)), None),
            false => (None, Some(daemon(&folder))),
        };
        client.ping().await.expect("pong");
        client.register(&topic("/a"), RequestExt::default()).await.expect("it is registered");
        let found = client.look_up("/a").await.expect("an answer").expect("it is there");
        assert_eq!(found.topic, topic("/a"));
        assert_eq!(client.list().await.expect("an answer"), [topic("/a")]);
        assert!(client.unregister(&topic("/a")).await.expect("an answer"));
        assert_eq!(client.wait_for_topic("/a", Duration::ZERO).await.expect("an answer"), None);
        assert_eq!(client.epoch().is_none(), python);
        client.shut_down().await.expect("it ends");
        drop(daemons);
    }
}

/// A daemon that receives nothing until it is continued.
fn stopped_daemon(folder: &Folder) -> Program {
    let mut daemon = python_daemon(folder);
    daemon.signal(Signal::STOP);
    daemon
}

#[test]
fn a_request_without_a_reply_ends_at_its_deadline_and_the_next_one_succeeds() {
    let folder = Folder::new();
    let mut daemon = stopped_daemon(&folder);
    let patience = Duration::from_millis(50);
    let mut client = Client::connect(&folder.discovery(), patience).expect("a client");
    let start = Instant::now();
    assert!(matches!(client.ping(), Err(DiscoveryError::Unreachable { .. })));
    assert!(start.elapsed() >= patience);
    daemon.signal(Signal::CONT);
    // Longer: the one before may have to be answered first.
    client.wait_for_daemon(DEADLINE).expect("it answers");
}

#[test]
fn a_request_is_repeated_when_the_daemon_that_received_it_is_gone() {
    let folder = Folder::new();
    let mut first = stopped_daemon(&folder);
    let mut client = Client::connect(&folder.discovery(), LONG).expect("a client");
    let waiting = std::thread::spawn(move || client.look_up("/a"));
    // A successor takes the address; the first one will never answer.
    let _second = python_daemon(&folder);
    first.kill();
    let answer = waiting.join().expect("no panic");
    assert!(answer.expect("the successor answers").is_none());
}

#[tokio::test]
async fn a_cancelled_request_does_not_break_the_next() {
    let folder = Folder::new();
    let mut daemon = stopped_daemon(&folder);
    let mut client = AsyncClient::connect(&folder.discovery(), LONG).expect("a client");
    let pause = Duration::from_millis(10);
    assert!(tokio::time::timeout(pause, client.ping()).await.is_err());
    daemon.signal(Signal::CONT);
    assert_eq!(client.look_up("/a").await.expect("an answer"), None);
    assert_eq!(client.list().await.expect("an answer"), []);
}

#[tokio::test]
async fn a_topic_is_waited_for_in_any_start_order() {
    let folder = Folder::new();
    let discovery = folder.discovery();
    let mut client = Client::connect(&discovery, DEADLINE).expect("a client");
    let none = client.wait_for_topic("/t", Duration::from_millis(30));
    assert!(matches!(none, Err(DiscoveryError::Unreachable { .. })), "{none:?}");
    let blocking = std::thread::spawn(move || client.wait_for_topic("/t", LONG));
    let mut client = AsyncClient::connect(&discovery, DEADLINE).expect("a client");
    let (caller, talker) = (node(&folder, "caller"), node(&folder, "talker"));
    assert_eq!(caller.blocking_wait_for_topic("/t", Duration::ZERO).expect("no error"), None);
    assert_eq!(caller.wait_for_topic("/t", Duration::ZERO).await.expect("no error"), None);
    let start = async {
        let daemon = daemon(&folder);
        let notes = talker.publisher::<StringMessage>("/t").create().expect("it binds");
        (daemon, notes)
    };
    let waiting = futures_util::future::join3(
        client.wait_for_topic("/t", LONG),
        caller.wait_for_topic("/t", LONG),
        start,
    );
    let (found, seen, (_daemon, notes)) =
        tokio::time::timeout(DEADLINE, waiting).await.expect("in time");
    let found = found.expect("no error").expect("it is there");
    assert_eq!(found.topic.address, notes.address());
    assert_eq!(seen.expect("no error").as_ref(), Some(&found));
    assert_eq!(caller.blocking_wait_for_topic("/t", LONG).expect("no error"), Some(found.clone()));
    assert_eq!(blocking.join().expect("no panic").expect("no error"), Some(found));
}

#[test]
fn waiting_for_a_topic_ends_with_the_node() {
    let folder = Folder::new();
    let node = node(&folder, "caller");
    let handle = node.handle();
    let ended = std::thread::spawn(move || handle.shutdown());
    assert_eq!(node.blocking_wait_for_topic("/t", LONG).expect("no error"), None);
    ended.join().expect("no panic");
}

#[tokio::test]
async fn a_node_that_requires_a_daemon_fails_early_and_others_wait_visibly() {
    let folder = Folder::new();
    let node = node(&folder, "n");
    let notes = node.publisher::<StringMessage>("/t").create().expect("no daemon needed");
    let soon = Duration::from_millis(20);
    let missing = node.require_discovery(soon).await;
    assert!(matches!(missing, Err(DiscoveryError::Unreachable { .. })), "{missing:?}");
    assert!(node.blocking_require_discovery(soon).is_err());
    assert_eq!(notes.registration(), Registration::Pending);
    let _daemon = daemon(&folder);
    node.require_discovery(DEADLINE).await.expect("it is there");
    node.blocking_require_discovery(DEADLINE).expect("it is there");
    wait_until("it is registered", || notes.registration() == Registration::Registered);
}
