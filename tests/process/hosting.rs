//! Nodes that host the daemon where no other process does.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use cortex_std::discovery::{Client, Found};
use cortex_std::wire::StringMessage;
use cortex_std::{Published, Registration};
use cortex_tests::graph::{Folder, connect, guest, node, registered};
use cortex_tests::{DEADLINE, Program, Signal, golden, python, wait_until};

/// The time within which another node hosts the daemon after the last host died.
const PROMISE: Duration = Duration::from_secs(2);

fn start(role: &str, name: &str, folder: &Folder) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graph"));
    command.args([role, name]).env("CORTEX_DISCOVERY", folder.discovery());
    let mut program = Program::spawn(command);
    program.expect_line("ready");
    program
}

/// The process that holds the lock.
fn host(folder: &Folder) -> Option<u32> {
    let text = fs::read_to_string(folder.path().join("discovery.sock.lock")).ok()?;
    text.trim().parse().ok()
}

/// The epoch of the daemon, if one answers.
fn epoch(folder: &Folder) -> Option<u64> {
    let client = Client::connect(&folder.discovery(), Duration::from_millis(500));
    let mut client = client.expect("a client");
    client.ping().ok()?;
    client.epoch()
}

fn wait_for_epoch(folder: &Folder) -> u64 {
    let mut found = None;
    wait_until("a daemon answers", || {
        found = epoch(folder);
        found.is_some()
    });
    found.expect("it was waited for")
}

#[test]
fn two_nodes_need_no_daemon_and_leave_nothing() {
    let folder = Folder::new();
    let talker = node(&folder, "talker");
    let listener = node(&folder, "listener");
    let notes = talker.publisher::<StringMessage>("/t").create().expect("it binds");
    let mut seen = listener.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    connect(&mut seen, &notes, 1);
    let sent = notes.publish(&StringMessage { data: "hello" }).expect("it is published");
    assert_eq!(sent, Published::Sent);
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(sample.message(), Ok(StringMessage { data: "hello" }));
    assert_eq!(host(&folder), Some(std::process::id()));
    drop((talker, listener));
    assert!(!folder.path().join("discovery.sock").exists());
    assert!(!folder.path().join("discovery.sock.lock").exists());
}

#[test]
fn a_node_that_may_not_host_waits_for_one_that_does() {
    let folder = Folder::new();
    let waiting = guest(&folder, "guest");
    let notes = waiting.publisher::<StringMessage>("/t").create().expect("it binds");
    let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
    client.ping().expect_err("there is no daemon");
    assert_eq!(notes.registration(), Registration::Pending);
    let _host = node(&folder, "host");
    wait_until("it is registered", || notes.registration() == Registration::Registered);
}

#[test]
fn of_many_nodes_one_hosts_and_when_it_ends_another_one_does() {
    let folder = Folder::new();
    // Each checks for a daemon on its own thread.
    let mut nodes: Vec<_> = (0..8).map(|number| node(&folder, &format!("node-{number}"))).collect();
    let last = guest(&folder, "last");
    let notes = registered(&last);
    let mut epochs = HashSet::new();
    while let Some(node) = nodes.pop() {
        // Always one daemon, with the registrations of the last one.
        let epoch = wait_for_epoch(&folder);
        let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
        assert!(client.look_up("/t").expect("an answer").is_some());
        assert_eq!(client.epoch(), Some(epoch));
        epochs.insert(epoch);
        drop(node);
    }
    assert!(epochs.len() <= 8);
    wait_until("it notices", || notes.registration() == Registration::Pending);
    drop(last);
    let left: Vec<_> = folder.files().into_iter().filter(|file| !is_state(file)).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

/// The state file stays where no daemon received the last unregistration.
fn is_state(file: &std::path::Path) -> bool {
    file.extension().is_some_and(|extension| extension == "state")
}

#[test]
fn when_the_host_is_killed_another_node_takes_over_and_no_message_is_lost() {
    let folder = Folder::new();
    let mut host_program = start("idle", "host", &folder);
    let first = wait_for_epoch(&folder);
    assert_eq!(host(&folder), Some(host_program.id()));

    let golden_file = golden::path("messages.json").display().to_string();
    let topics = folder.path().join("topics").display().to_string();
    let discovery = folder.discovery();
    let mut python = python::peer(
        "publisher.py",
        [
            ["--discovery", &discovery],
            ["--node", "python"],
            ["--topic", "/python"],
            ["--ipc-dir", &topics],
            ["--golden", &golden_file],
            ["--names", "string_2"],
        ]
        .concat(),
    );
    python.expect_event("ready");
    let talker = node(&folder, "talker");
    let listener = node(&folder, "listener");
    let notes = talker.publisher::<StringMessage>("/t").queue(0).create().expect("it binds");
    let subscriber = listener.subscriber::<StringMessage>("/t").queue(0);
    let mut seen = subscriber.create().expect("a subscriber");
    connect(&mut seen, &notes, 1);
    wait_until("both are kept for the next one", || {
        let kept = fs::read(folder.path().join("discovery.sock.state")).unwrap_or_default();
        let holds = |text: &str| kept.windows(text.len()).any(|part| part == text.as_bytes());
        holds("/python") && holds("talker")
    });

    let mut sent = 0;
    let mut publish = || {
        let published = notes.publish(&StringMessage { data: "x" }).expect("it is published");
        assert_eq!(published, Published::Sent);
        sent += 1;
    };
    publish();
    host_program.kill();
    let death = Instant::now();
    let second = loop {
        publish();
        if let Some(epoch) = epoch(&folder) {
            break epoch;
        }
        assert!(death.elapsed() < PROMISE, "no node took over in {PROMISE:?}");
    };
    println!("taken over after {:?}", death.elapsed());
    assert_ne!(first, second);
    // The new daemon has all registrations from its first reply on.
    let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
    for name in ["/t", "/python"] {
        let found: Option<Found> = client.look_up(name).expect("an answer");
        assert_eq!(found.expect("it is known").topic.name, name);
    }
    assert_eq!(client.epoch(), Some(second));
    for _ in 0..100 {
        publish();
    }
    for expected in 0..sent {
        let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert_eq!(sample.header().sequence, expected);
    }
    assert_eq!((seen.stats().lost, seen.stats().restarted), (0, 0));
}

#[test]
fn a_stopped_host_is_not_replaced() {
    let folder = Folder::new();
    let mut host_program = start("idle", "host", &folder);
    let first = wait_for_epoch(&folder);
    let _node = node(&folder, "other");
    host_program.signal(Signal::STOP);
    // Even if no client can connect to it any more.
    fs::remove_file(folder.path().join("discovery.sock")).expect("it is there");
    let start = Instant::now();
    wait_until("other nodes had time to take over", || {
        assert_eq!(host(&folder), Some(host_program.id()));
        assert!(!folder.path().join("discovery.sock").exists());
        start.elapsed() > PROMISE
    });
    host_program.signal(Signal::CONT);
    assert_eq!(wait_for_epoch(&folder), first);
}
