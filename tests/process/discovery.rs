//! The daemon: dead publishers, leases, restarts, and the loss of its socket file.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cortex_std::Registration;
use cortex_std::discovery::{Client, Daemon, DiscoveryError, Topic};
use cortex_std::wire::StringMessage;
use cortex_std::wire::discovery::RequestExt;
use cortex_tests::graph::{Folder, daemon, guest, registered};
use cortex_tests::{DEADLINE, Program, python, wait_until};

fn client(address: &str) -> Client {
    Client::connect(address, DEADLINE).expect("a client")
}

fn topic(name: &str, address: &str) -> Topic {
    Topic {
        name: name.into(),
        address: address.into(),
        message_type: "StringMessage".into(),
        fingerprint: 1,
        publisher_node: "python".into(),
    }
}

/// Registers as Python does: without lease, layout or sharing.
fn register(client: &mut Client, topic: &Topic) {
    client.register(topic, RequestExt::default()).expect("it is free");
}

fn is_known(client: &mut Client, topic: &Topic) -> bool {
    client.look_up(&topic.name).expect("an answer").is_some()
}

/// A listener at a path, whose file remains after it.
fn listener(folder: &Folder, name: &str) -> (UnixListener, String) {
    (UnixListener::bind(folder.path().join(name)).expect("it binds"), folder.address(name))
}

fn state_file(folder: &Folder) -> PathBuf {
    folder.path().join("discovery.sock.state")
}

/// Waits until the next daemon would know of `topics`.
fn wait_until_kept(folder: &Folder, topics: &[&Topic]) {
    wait_until("it is kept for the next daemon", || {
        let kept = fs::read(state_file(folder)).unwrap_or_default();
        let holds = |text: &str| kept.windows(text.len()).any(|part| part == text.as_bytes());
        topics.iter().all(|topic| holds(&topic.name))
    });
}

#[test]
fn a_dead_publisher_is_removed_and_one_that_cannot_be_checked_is_kept() {
    let folder = Folder::new();
    let tcp = "tcp://127.0.0.1:*";
    let daemon = Daemon::bind_all([&*folder.discovery(), tcp]).expect("it binds");
    let tcp = daemon.addresses().nth(1).expect("two addresses").to_owned();
    let _daemon = daemon.spawn().expect("it starts");
    let mut local = client(&folder.discovery());
    let mut remote = client(&tcp);

    let (first, first_address) = listener(&folder, "first");
    let (second, second_address) = listener(&folder, "second");
    let ghost = topic("/ghost", &first_address);
    register(&mut local, &ghost);
    // Another machine may have the same path.
    let elsewhere = topic("/elsewhere", &first_address);
    register(&mut remote, &elsewhere);
    let unseen = topic("/unseen", &folder.address("unbound"));
    register(&mut local, &unseen);
    let on_tcp = topic("/tcp", "tcp://127.0.0.1:1");
    register(&mut local, &on_tcp);
    let alive = topic("/alive", &second_address);
    register(&mut local, &alive);
    wait_until_kept(&folder, &[&ghost, &alive]);
    assert!(is_known(&mut local, &ghost));

    drop(first);
    wait_until("the ghost is gone", || !is_known(&mut local, &ghost));
    // Deleting the file is as good.
    fs::remove_file(folder.path().join("second")).expect("it is there");
    wait_until("the other one is gone", || !is_known(&mut local, &alive));
    drop(second);
    for kept in [&elsewhere, &unseen, &on_tcp] {
        assert!(is_known(&mut local, kept), "{}", kept.name);
    }
}

#[test]
fn a_publisher_that_was_killed_leaves_its_topic_to_a_node_of_another_name() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (dead, address) = listener(&folder, "dead");
    let theirs = topic("/t", &address);
    register(&mut client(&folder.discovery()), &theirs);
    wait_until_kept(&folder, &[&theirs]);
    let node = guest(&folder, "heir");
    let notes = node.publisher::<StringMessage>("/t").create().expect("it binds");
    wait_until("it is refused", || matches!(notes.registration(), Registration::Refused(_)));
    drop(dead);
    wait_until("it has the topic", || notes.registration() == Registration::Registered);
}

#[test]
fn a_lease_ends_and_a_registration_without_one_stays() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let mut client = client(&folder.discovery());
    let python = topic("/python", "tcp://127.0.0.1:1");
    register(&mut client, &python);
    let board = topic("/board", "tcp://127.0.0.1:2");
    let lease = RequestExt { lease_ms: Some(300), ..RequestExt::default() };
    client.register(&board, lease).expect("it is free");
    wait_until("the lease ends", || !is_known(&mut client, &board));
    assert!(is_known(&mut client, &python));
}

#[test]
fn registrations_outlive_the_daemon_unless_their_publisher_is_dead() {
    let folder = Folder::new();
    let first = daemon(&folder);
    let mut client = self::client(&folder.discovery());
    let (alive, address) = listener(&folder, "alive");
    let (dead, dead_address) = listener(&folder, "dead");
    let known = topic("/known", &address);
    let ghost = topic("/ghost", &dead_address);
    let unseen = topic("/unseen", &folder.address("unbound"));
    for topic in [&known, &ghost, &unseen] {
        register(&mut client, topic);
    }
    wait_until_kept(&folder, &[&known, &ghost]);
    let epoch = client.epoch();
    first.stop();
    drop(dead);
    let second = daemon(&folder);
    // From the first reply on. A new client, since a request to a daemon that ends may be lost.
    let mut client = self::client(&folder.discovery());
    let found = client.look_up("/known").expect("an answer").expect("it is known");
    assert_eq!(found.topic, known);
    assert_ne!(client.epoch(), epoch);
    assert!(!is_known(&mut client, &ghost));
    // The original's own tests register such, and expect a new daemon to know nothing of them.
    assert!(!is_known(&mut client, &unseen));
    // Without registrations there is no file.
    assert!(client.unregister(&known).expect("an answer"));
    drop(alive);
    second.stop();
    assert!(!state_file(&folder).exists());
    assert!(!folder.path().join("discovery.sock").exists());
}

#[test]
fn a_damaged_file_of_the_last_daemon_is_ignored() {
    let folder = Folder::new();
    fs::write(state_file(&folder), "cortex-discovery\nand then nothing of use").expect("written");
    let daemon = daemon(&folder);
    assert_eq!(client(&folder.discovery()).list().expect("an answer"), []);
    daemon.stop();
    assert_eq!(folder.files(), Vec::<PathBuf>::new());
}

/// Waits until a new client is answered at the path; returns the epoch of the daemon.
fn wait_until_served(folder: &Folder) -> Option<u64> {
    let mut epoch = None;
    wait_until("the daemon is back", || {
        let client = Client::connect(&folder.discovery(), Duration::from_millis(200));
        let mut client = client.expect("a client");
        let is_served = client.ping().is_ok();
        epoch = client.epoch();
        is_served
    });
    epoch
}

#[test]
fn a_socket_file_that_is_deleted_is_bound_again() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let mut early = client(&folder.discovery());
    let known = topic("/known", "tcp://127.0.0.1:1");
    register(&mut early, &known);
    let epoch = early.epoch();
    let socket = folder.path().join("discovery.sock");
    let lock = folder.path().join("discovery.sock.lock");
    let stale = |path: &Path| drop(UnixListener::bind(path).expect("it binds"));
    for round in 0..4 {
        fs::remove_file(&socket).expect("it is there");
        match round {
            // A dead daemon's file in its place.
            1 => stale(&socket),
            // The lock as well; another daemon could start now, but none does.
            2 => fs::remove_file(&lock).expect("it is there"),
            _ => {}
        }
        assert_eq!(wait_until_served(&folder), epoch);
        assert!(is_known(&mut client(&folder.discovery()), &known));
        wait_until("it is locked", || lock.exists());
    }
    // A client that was connected all the time is answered, too.
    assert!(is_known(&mut early, &known));
    assert!(early.unregister(&known).expect("an answer"));
    daemon.stop();
    assert_eq!(folder.files(), Vec::<PathBuf>::new());
}

#[test]
fn a_folder_that_is_deleted_is_made_again() {
    let folder = Folder::new();
    let inner = folder.path().join("run");
    let address = format!("ipc://{}/discovery.sock", inner.display());
    let _daemon = Daemon::bind(&address).expect("it binds").spawn().expect("it starts");
    fs::remove_dir_all(&inner).expect("it is there");
    wait_until("it listens again", || {
        let client = Client::connect(&address, Duration::from_millis(200));
        client.expect("a client").ping().is_ok()
    });
    wait_until("it is locked", || inner.join("discovery.sock.lock").exists());
}

#[test]
fn a_python_daemon_that_takes_the_socket_is_left_alone_until_it_ends() {
    let folder = Folder::new();
    let ours = daemon(&folder);
    // The last request to our daemon may never be answered.
    let early = Client::connect(&folder.discovery(), Duration::from_millis(500));
    let mut early = early.expect("a client");
    early.ping().expect("it answers");
    let epoch = early.epoch();
    assert!(epoch.is_some());
    for ends_well in [true, false] {
        let mut theirs = python::peer("daemon.py", ["--address", &folder.discovery()]);
        theirs.expect_event("ready");
        // Two daemons would split the graph: clients that were connected to ours move over as well.
        wait_until("the Python daemon answers", || {
            let late = Client::connect(&folder.discovery(), Duration::from_millis(500));
            let mut late = late.expect("a client");
            late.ping().is_ok() && late.epoch().is_none()
        });
        wait_until("our daemon has released the socket", || {
            early.ping().is_ok() && early.epoch().is_none()
        });
        if ends_well {
            theirs.terminate();
            assert!(theirs.wait().success());
        } else {
            theirs.kill();
        }
        assert_eq!(wait_until_served(&folder), epoch);
    }
    ours.stop();
    assert_eq!(folder.files(), Vec::<PathBuf>::new());
}

#[test]
fn shutdown_is_refused_over_tcp_and_accepted_over_ipc() {
    let folder = Folder::new();
    let daemon = Daemon::bind_all([&*folder.discovery(), "tcp://127.0.0.1:*"]).expect("it binds");
    let tcp = daemon.addresses().nth(1).expect("two addresses").to_owned();
    let daemon = daemon.spawn().expect("it starts");
    let mut remote = client(&tcp);
    let mut local = client(&folder.discovery());
    // One graph.
    let known = topic("/known", "tcp://127.0.0.1:1");
    register(&mut remote, &known);
    assert!(is_known(&mut local, &known));
    assert!(matches!(remote.shut_down(), Err(DiscoveryError::Refused { .. })));
    remote.ping().expect("it goes on");
    assert!(local.unregister(&known).expect("an answer"));
    local.shut_down().expect("it is accepted");
    wait_until("it has ended", || daemon.is_finished());
    drop(daemon);
    assert_eq!(folder.files(), Vec::<PathBuf>::new());
}

#[test]
fn garbage_over_the_socket_is_answered_and_the_daemon_goes_on() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let context = zmq::Context::new();
    let socket = context.socket(zmq::REQ).expect("a socket");
    socket.set_rcvtimeo(30_000).expect("a time");
    socket.connect(&folder.discovery()).expect("it connects");
    for round in 0_u32..3000 {
        let mut body = round.to_be_bytes().repeat((round % 50) as usize);
        body.push(0xc1);
        if round % 7 == 0 {
            socket.send("", zmq::SNDMORE).expect("sent");
        }
        socket.send(&body, 0).expect("sent");
        let answer = socket.recv_bytes(0).expect("an answer");
        let answer = cortex_std::wire::discovery::Response::decode(&answer).expect("a response");
        assert_eq!(answer.status, cortex_std::wire::discovery::Status::Error);
    }
    let node = guest(&folder, "after");
    drop(registered(&node));
}

#[test]
fn an_async_client_uses_a_host_name_that_has_only_an_ipv6_address() {
    let folder = Folder::new();
    let hosts = folder.path().join("hosts").display().to_string();
    fs::write(&hosts, "127.0.0.1 localhost\n::1 six.example\n").expect("a file");
    let Ok(daemon) = Daemon::bind("tcp://[::1]:*") else {
        println!("SKIPPED: this system has no IPv6");
        return;
    };
    let address = daemon.addresses().next().expect("an address").to_owned();
    let port = address.rsplit_once(':').expect("a port").1.to_owned();
    let daemon = daemon.spawn().expect("a thread");
    let script = format!("mount --bind '{hosts}' /etc/hosts && exec \"$0\" ping");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script]);
    command.arg(env!("CARGO_BIN_EXE_graph"));
    command.env("CORTEX_DISCOVERY", format!("tcp://six.example:{port}"));
    let mut client = Program::spawn(command);
    let status = client.wait();
    let text = client.stderr();
    if text.contains("unshare: ") || text.contains("mount: ") {
        println!("SKIPPED: this system mounts nothing for tests");
        return;
    }
    assert!(status.success(), "{text}");
    drop(daemon);
}

#[test]
fn registrations_that_cannot_be_kept_are_logged_with_the_path_and_the_cause() {
    let folder = Folder::new();
    let blocked = folder.path().join("discovery.sock.state.new");
    fs::create_dir(&blocked).expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_graph"));
    command.arg("daemon").env("CORTEX_DISCOVERY", folder.discovery());
    let mut daemon = Program::spawn(command);
    daemon.expect_line("ready");
    register(&mut client(&folder.discovery()), &topic("/t", "tcp://127.0.0.1:1"));
    let path = state_file(&folder).display().to_string();
    wait_until("it is logged", || {
        daemon.stderr().lines().any(|line| {
            line.contains("WARN") && line.contains(&path) && line.contains("Is a directory")
        })
    });
    daemon.terminate();
    let _ = daemon.wait();
}
