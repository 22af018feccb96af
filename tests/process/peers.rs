//! The Python peers against the golden vectors and against each other.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use cortex_tests::{Program, Signal, golden, python};
use serde_json::{Value, json};

fn ipc(folder: &Path, name: &str) -> String {
    format!("ipc://{}/{name}", folder.display())
}

fn daemon(address: &str) -> Program {
    let mut daemon = python::peer("daemon.py", ["--address", address]);
    daemon.expect_event("ready");
    daemon
}

fn end(mut program: Program) {
    program.terminate();
    assert!(program.wait().success(), "{}", program.stderr());
}

#[test]
fn python_peers_reproduce_every_golden_frame() {
    let golden = golden::path("");
    let mut peer = python::peer("cortex_peer.py", ["selftest".as_ref(), golden.as_os_str()]);
    let counts = peer.expect_event("selftest");
    for file in ["messages", "values", "numpy", "fingerprints", "discovery"] {
        let cases = golden::cases(&format!("{file}.json")).len();
        assert_eq!(counts[file], cases, "cases of {file}.json");
    }
    assert_eq!(counts["messages"], 97);
    assert!(peer.wait().success());
}

#[test]
fn python_publisher_reaches_python_subscriber_through_python_daemon() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let discovery = ipc(folder.path(), "discovery.sock");
    let daemon = daemon(&discovery);
    for names in [
        &["string_2"][..],
        &["float_7", "float_8"],
        &["dict_empty", "dict_flat", "dict_nested_arrays"],
        &["array_<M8[ns]", "array_0d", "array_empty", "array_4k"],
        &["multi_tensor"],
        &["cloud_min", "cloud_full"],
    ] {
        publisher_reaches_subscriber(folder.path(), &discovery, names);
    }
    end(daemon);
    let left: Vec<_> = folder.path().read_dir().expect("the folder").collect();
    assert!(left.is_empty(), "sockets left behind: {left:?}");
}

fn publisher_reaches_subscriber(folder: &Path, discovery: &str, names: &[&str]) {
    let cases: Vec<Value> = names.iter().map(|name| golden::message(name)).collect();
    let message = cases[0]["message"].as_str().expect("a message type");
    let count = names.len() + 1;
    let mut subscriber = python::peer(
        "subscriber.py",
        [
            "--discovery",
            discovery,
            "--topic",
            "/a/b",
            "--message",
            message,
            "--count",
            &count.to_string(),
        ],
    );
    let mut publisher = python::peer(
        "publisher.py",
        [
            "--discovery",
            discovery,
            "--node",
            "n",
            "--topic",
            "/a/b",
            "--ipc-dir",
            &folder.display().to_string(),
            "--golden",
            &golden::path("messages.json").display().to_string(),
            "--names",
            &names.join(","),
        ],
    );
    let address = ipc(folder, "n__a_b.sock");
    assert_eq!(publisher.expect_event("ready")["address"], address);
    assert_eq!(subscriber.expect_event("connected")["address"], address);

    let mut next = None;
    for _ in 0..count {
        let received = subscriber.expect_event("message");
        let sequence = received["sequence"].as_u64().expect("a sequence number");
        assert_eq!(sequence, next.unwrap_or(sequence), "a gap");
        next = Some(sequence + 1);
        let case = &cases[usize::try_from(sequence).expect("small") % cases.len()];
        assert_eq!(
            golden::without_repr(received["fields"].clone()),
            golden::without_repr(case["fields"].clone()),
            "{}",
            case["name"]
        );
    }
    subscriber.expect_event("done");
    assert!(subscriber.wait().success());
    // The other way to end a peer: the end of its stdin.
    publisher.close_stdin();
    let sent = publisher.expect_event("done")["sent"].as_u64();
    assert!(sent >= next, "sent {sent:?}, received up to {next:?}");
    assert!(publisher.wait().success());
}

#[test]
fn python_subscriber_rejects_malformed_messages_and_goes_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let discovery = ipc(folder.path(), "discovery.sock");
    let daemon = daemon(&discovery);
    let good = golden::message("string_1");
    let header = good["frames"][0].clone();
    let other = golden::message("int_0")["frames"].clone();
    let raw = folder.path().join("raw");
    let lines = [
        json!([]),                           // nothing after the topic
        json!(["00"]),                       // a blob too short for a header
        json!([header]),                     // a header where a blob belongs
        json!([header, "c1"]),               // the marker that is never used
        json!([header, "91a568"]),           // truncated metadata
        json!([header, "91c0c0"]),           // bytes left over
        json!([header, "9191".repeat(600)]), // nested too deep
        other,                               // another type
        json!([golden::load("messages.json")["cases"][1]["single_blob"]]), // valid
        good["frames"].clone(),              // valid
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&raw, text).expect("the file of raw messages");

    let mut subscriber = python::peer(
        "subscriber.py",
        "--topic /raw --message StringMessage --count 4 --digest --discovery"
            .split(' ')
            .chain([discovery.as_str()]),
    );
    let mut publisher = python::peer(
        "publisher.py",
        "--topic /raw --node n --message StringMessage --discovery".split(' ').chain([
            discovery.as_str(),
            "--ipc-dir",
            &folder.path().display().to_string(),
            "--raw",
            &raw.display().to_string(),
        ]),
    );
    publisher.expect_event("ready");
    subscriber.expect_event("connected");
    let mut rejected = 0;
    loop {
        let event = subscriber.next_json();
        match event["event"].as_str() {
            Some("message") => {
                assert_eq!(event["fields"], good["fields"]);
                assert_eq!(event["sequence"], 1);
            }
            Some("rejected") => rejected += 1,
            _ => {
                assert_eq!(event, json!({"event": "done", "received": 4}));
                break;
            }
        }
    }
    // Of four valid messages, two cycles at least, one of them whole.
    assert!(rejected >= 8, "{}", subscriber.stdout());
    assert!(subscriber.wait().success());
    end(publisher);
    end(daemon);
}

#[test]
fn python_client_sends_every_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = ipc(folder.path(), "discovery.sock");
    let mut daemon = daemon(&address);
    let mut client = python::peer("client.py", ["--discovery", &address]);
    let mut request = |command: Value| {
        client.send_line(&command.to_string());
        client.next_json()
    };
    let answer = |status: u8, message: &str, topic_info: Value, topics: Value| json!({"status": status, "message": message, "topic_info": topic_info, "topics": topics});
    let plain = |status, message| answer(status, message, Value::Null, Value::Null);
    let info = json!({
        "name": "/x",
        "address": "ipc:///tmp/x.sock",
        "message_type": "ImageMessage",
        "fingerprint": "11897903253160209581",
        "publisher_node": "cam",
    });
    let mut rival = info.clone();
    rival["publisher_node"] = json!("other");

    assert_eq!(request(json!({"command": "ping"})), plain(0, "pong"));
    let lookup = json!({"command": "lookup", "topic_name": "/x"});
    assert_eq!(request(lookup.clone()), plain(1, "Topic /x not found"));
    assert_eq!(request(json!({"command": "list"})), plain(0, ""));
    let register = json!({"command": "register", "topic_info": info});
    for _ in 0..2 {
        assert_eq!(request(register.clone()), plain(0, "Registered topic: /x"));
    }
    let taken = request(json!({"command": "register", "topic_info": rival}));
    assert_eq!(taken["status"], 2);
    assert_eq!(request(json!({"command": "register"}))["status"], 3);
    assert_eq!(request(json!({"command": "lookup"}))["status"], 3);
    assert_eq!(request(lookup.clone()), answer(0, "", info.clone(), Value::Null));
    assert_eq!(request(json!({"command": "list"})), answer(0, "", Value::Null, json!([info])));
    // Golden's registration with a sixth key in its topic_info, three bytes longer.
    let register = golden::cases("discovery.json")[0]["bytes"].take();
    let register = register.as_str().expect("hex digits");
    assert!(register.contains("c48f85"), "{register}");
    let sixth = register.replace("c48f85", "c49286") + "a161c0";
    // Nothing, a map cut off, the marker that is never used, an unknown command.
    for hex in ["", "82a7", "c1", "81a7636f6d6d616e642a", &sixth] {
        let reply = request(json!({"command": "raw", "hex": hex}));
        assert_eq!(reply["status"], 3, "{hex}: {reply}");
    }
    let golden = request(json!({"command": "raw", "hex": register}));
    assert_eq!(golden, plain(0, "Registered topic: /camera/image"));
    let unregister = json!({"command": "unregister", "topic_name": "/x"});
    assert_eq!(request(unregister.clone()), plain(0, "Unregistered topic: /x"));
    assert_eq!(request(unregister), plain(1, "Topic /x not found"));
    assert_eq!(request(json!({"command": "shutdown"}))["status"], 0);
    assert!(daemon.wait().success());
    client.close_stdin();
    assert!(client.wait().success());
}

#[test]
fn bad_use_of_a_peer_is_one_line_on_stderr() {
    let mut peer = python::peer("publisher.py", ["--node", "n"]);
    assert_eq!(peer.wait().code(), Some(2));
    let stderr = peer.stderr();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("publisher.py: "), "{stderr}");
}

fn shell(script: &str) -> Program {
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script]);
    Program::spawn(command)
}

#[test]
fn program_is_read_written_and_ended() {
    let mut cat = shell("echo first; echo second; exec cat");
    assert_eq!(cat.expect_line("sec"), "second");
    cat.send_line("third");
    assert_eq!(cat.next_line(), "third");
    assert!(cat.is_running());
    cat.terminate();
    assert_eq!(cat.wait().signal(), Some(Signal::TERM.as_raw()));
    assert_eq!(cat.stdout(), "first\nsecond\nthird\n");
}

#[test]
fn program_that_ends_early_is_reported_with_its_stderr() {
    let panic = std::panic::catch_unwind(|| shell("echo why >&2; exit 3").expect_event("ready"));
    let message = panic.expect_err("there is no such event");
    let message = message.downcast_ref::<String>().expect("a message");
    for part in ["event \"ready\"", "exit status: 3", "why"] {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
}
