//! `cortex-discovery` as a user starts it, with Python clients.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cortex_tests::{DEADLINE, Program, Signal, golden, python, wait_until};
use serde_json::{Value, json};

const END: Duration = Duration::from_secs(2);

fn start(arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex-discovery"));
    command.args(arguments);
    Program::spawn(command)
}

fn address_in(folder: &Path) -> String {
    format!("ipc://{}/run/discovery.sock", folder.display())
}

/// A daemon, and a Python client that has received a response.
fn daemon_and_client(address: &str) -> (Program, Program) {
    let daemon = start(&["--address", address, "--log-level", "DEBUG"]);
    let mut client = python::peer("client.py", ["--discovery", address]);
    assert_eq!(request(&mut client, &json!({ "command": "ping" }))["message"], "pong");
    (daemon, client)
}

fn request(client: &mut Program, command: &Value) -> Value {
    client.send_line(&command.to_string());
    client.next_json()
}

fn files(folder: &Path) -> Vec<String> {
    let files = folder.join("run").read_dir().expect("the daemon made its folder");
    files.map(|file| file.expect("a file").path().display().to_string()).collect()
}

#[test]
fn python_clients_can_send_every_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut daemon, mut client) = daemon_and_client(&address_in(folder.path()));
    let info = json!({
        "name": "/cam/frame",
        "address": "ipc:///tmp/absent.sock",
        "message_type": "ImageMessage",
        "fingerprint": "11897903253160209581",
        "publisher_node": "cam",
    });
    let mut statuses = Vec::new();
    let other = {
        let mut other = info.clone();
        other["publisher_node"] = json!("other");
        other
    };
    for command in [
        json!({ "command": "lookup", "topic_name": "/cam/frame" }),
        json!({ "command": "register", "topic_info": info }),
        json!({ "command": "register", "topic_info": info }),
        json!({ "command": "register", "topic_info": other }),
        json!({ "command": "unregister", "topic_name": "/other" }),
        json!({ "command": "raw", "hex": "c1" }),
        json!({ "command": "raw", "hex": "" }),
        json!({ "command": "raw", "hex": "81a7636f6d6d616e642a" }),
    ] {
        statuses.push(request(&mut client, &command)["status"].as_u64().expect("a status"));
    }
    assert_eq!(statuses, [1, 0, 0, 2, 1, 3, 3, 3]);
    let found = request(&mut client, &json!({ "command": "lookup", "topic_name": "/cam/frame" }));
    assert_eq!(found["topic_info"], info);
    assert_eq!(request(&mut client, &json!({ "command": "list" }))["topics"], json!([info]));
    let gone =
        request(&mut client, &json!({ "command": "unregister", "topic_name": "/cam/frame" }));
    assert_eq!(gone["status"], 0);
    // An empty list is left out of the response.
    assert_eq!(request(&mut client, &json!({ "command": "list" }))["topics"], json!(null));

    assert_eq!(request(&mut client, &json!({ "command": "shutdown" }))["status"], 0);
    assert!(daemon.wait().success(), "{}", daemon.stderr());
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[test]
fn ctrl_c_and_sigterm_end_the_daemon_and_remove_its_socket() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (mut daemon, _client) = daemon_and_client(&address_in(folder.path()));
        assert!(files(folder.path()).iter().any(|file| file.ends_with("discovery.sock")));
        let start = Instant::now();
        daemon.signal(signal);
        assert!(daemon.wait().success(), "{}", daemon.stderr());
        assert!(start.elapsed() < END, "it took {:?} to end", start.elapsed());
        assert_eq!(files(folder.path()), Vec::<String>::new());
    }
}

#[test]
fn a_second_daemon_fails_and_names_the_first() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = address_in(folder.path());
    let (mut first, mut client) = daemon_and_client(&address);
    let mut second = start(&["--address", &address]);
    assert!(!second.wait().success());
    let said = second.stderr();
    assert!(said.contains(&format!("in use by process {}", first.id())), "{said}");
    // The first one still responds.
    assert_eq!(request(&mut client, &json!({ "command": "ping" }))["message"], "pong");
    first.terminate();
    assert!(first.wait().success());
}

#[test]
fn a_daemon_starts_after_another_was_killed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = address_in(folder.path());
    let (mut first, _client) = daemon_and_client(&address);
    first.kill();
    let (mut second, _client) = daemon_and_client(&address);
    second.terminate();
    assert!(second.wait().success(), "{}", second.stderr());
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[test]
fn several_addresses_are_one_graph_and_shutdown_is_refused_over_tcp() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ipc = address_in(folder.path());
    let mut daemon = start(&["--address", &ipc, "--address", "tcp://127.0.0.1:*"]);
    let mut tcp = None;
    wait_until("it logs its addresses", || {
        let said = daemon.stderr();
        let from = said.find("tcp://127.0.0.1:").map(|at| &said[at..]);
        tcp = from.and_then(|text| Some(text.split_once('"')?.0.to_owned()));
        tcp.is_some()
    });
    let tcp = tcp.expect("it was waited for");
    let mut remote = python::peer("client.py", ["--discovery", &tcp]);
    let mut local = python::peer("client.py", ["--discovery", &ipc]);
    let info = json!({
        "name": "/t",
        "address": "tcp://127.0.0.1:1",
        "message_type": "StringMessage",
        "fingerprint": "1",
        "publisher_node": "far",
    });
    let registered = request(&mut remote, &json!({ "command": "register", "topic_info": info }));
    assert_eq!(registered["status"], 0);
    let found = request(&mut local, &json!({ "command": "lookup", "topic_name": "/t" }));
    assert_eq!(found["topic_info"], info);
    assert_eq!(request(&mut remote, &json!({ "command": "shutdown" }))["status"], 3);
    assert_eq!(request(&mut remote, &json!({ "command": "ping" }))["message"], "pong");
    assert_eq!(request(&mut local, &json!({ "command": "shutdown" }))["status"], 0);
    assert!(daemon.wait().success(), "{}", daemon.stderr());
    // Registrations of tcp publishers are not saved: live publishers repeat them.
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[test]
fn a_python_publisher_is_found_again_when_the_daemon_was_killed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = address_in(folder.path());
    let (mut first, _client) = daemon_and_client(&address);
    let golden_file = golden::path("messages.json").display().to_string();
    let topics = folder.path().join("topics").display().to_string();
    let arguments = [
        ["--discovery", &*address],
        ["--node", "python"],
        ["--topic", "/t"],
        ["--ipc-dir", &topics],
        ["--golden", &golden_file],
        ["--names", "string_2"],
    ];
    let mut publisher = python::peer("publisher.py", arguments.concat());
    let at = publisher.expect_event("ready")["address"].clone();
    wait_until("the registration is saved", || {
        let kept = std::fs::read(folder.path().join("run/discovery.sock.state"));
        kept.is_ok_and(|kept| kept.windows(6).any(|part| part == b"python"))
    });
    first.kill();
    let (mut second, mut client) = daemon_and_client(&address);
    let found = request(&mut client, &json!({ "command": "lookup", "topic_name": "/t" }));
    assert_eq!(found["topic_info"]["address"], at);
    // A dead publisher is removed.
    publisher.kill();
    wait_until("it is removed", || {
        request(&mut client, &json!({ "command": "lookup", "topic_name": "/t" }))["status"] == 1
    });
    second.terminate();
    assert!(second.wait().success());
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[test]
fn systemd_is_notified_of_start_and_stop() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).expect("it binds");
    systemd.set_read_timeout(Some(DEADLINE)).expect("a time");
    let next = || {
        let mut text = [0; 256];
        let len = systemd.recv(&mut text).expect("in time");
        String::from_utf8_lossy(&text[..len]).trim().to_owned()
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex-discovery"));
    command.args(["--address", &address_in(folder.path())]).env("NOTIFY_SOCKET", &path);
    let mut daemon = Program::spawn(command);
    assert_eq!(next(), "READY=1");
    daemon.terminate();
    assert_eq!(next(), "STOPPING=1");
    assert!(daemon.wait().success());
}

#[test]
fn invalid_arguments_are_reported() {
    let mut long = start(&["--address", &format!("ipc:///tmp/{}", "x".repeat(120))]);
    assert!(!long.wait().success());
    assert!(long.stderr().contains("a unix socket takes at most 107"), "{}", long.stderr());
    let mut wrong = start(&["--address", "udp://somewhere"]);
    assert!(!wrong.wait().success());
    assert!(wrong.stderr().contains("none of ipc://path, tcp://host:port"), "{}", wrong.stderr());
    let mut unknown = start(&["--no-such-flag"]);
    assert_eq!(unknown.wait().code(), Some(2));
    let mut help = start(&["--help"]);
    assert!(help.wait().success());
    let said = help.stdout();
    assert!(said.contains("--address") && said.contains("--log-level"), "{said}");
}
