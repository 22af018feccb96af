//! `cortex topic list`, `info`, `type` and `find`; `cortex node`; `cortex graph`.

use std::time::Duration;

use cortex_std::wire::{ArrayMessage, StringMessage};
use cortex_std::{Node, Transport};
use cortex_tests::graph::{Folder, connect, daemon, node, registered};
use cortex_tests::{DEADLINE, Program, python, wait_until};
use serde_json::{Value as Json, json};

use crate::{python_publisher, run_in};

const IMAGE: &str = "0xa51dd7f890942cad";
const STRING: &str = "0xacf8d6475271e065";

/// A Rust node that publishes text on `/t` and a Python one that publishes images on `/cam`.
fn populated(folder: &Folder) -> (cortex_std::Node, impl Sized, Program) {
    let talker = node(folder, "talker");
    let notes = registered(&talker);
    let camera = python_publisher(folder, "camera", "/cam", "image_explicit");
    (talker, notes, camera)
}

#[track_caller]
fn check_names(folder: &Folder) {
    let listed = run_in(folder, &["topic", "list"]).with_code(0);
    assert_eq!(listed.lines, ["/cam", "/t"]);
    let listed = run_in(folder, &["topic", "list", "-t"]).with_code(0);
    assert_eq!(listed.lines, ["/cam  ImageMessage   camera", "/t    StringMessage  talker"]);
    assert_eq!(run_in(folder, &["topic", "list", "--count-topics"]).text(), "2");
    let count = run_in(folder, &["topic", "list", "-c", "--json"]).json();
    assert_eq!(count, [json!({ "topics": 2 })]);
    let listed = run_in(folder, &["--json", "topic", "list"]).with_code(0).json();
    let summary: Vec<_> = listed
        .iter()
        .map(|topic| (&topic["name"], &topic["message_type"], &topic["publisher_node"]))
        .collect();
    assert_eq!(
        summary,
        [
            (&json!("/cam"), &json!("ImageMessage"), &json!("camera")),
            (&json!("/t"), &json!("StringMessage"), &json!("talker")),
        ]
    );
    assert_eq!(listed[0]["fingerprint"], IMAGE);
    assert_eq!(listed[0]["address"], folder.address("camera.sock"));

    assert_eq!(run_in(folder, &["topic", "type", "/t"]).with_code(0).lines, ["StringMessage"]);
    let found = run_in(folder, &["topic", "find", "ImageMessage"]).with_code(0);
    assert_eq!(found.lines, ["/cam"]);
    let class = "cortex.messages.standard.StringMessage";
    assert_eq!(run_in(folder, &["topic", "find", class, "--json"]).json()[0]["name"], "/t");
    assert!(run_in(folder, &["topic", "find", "PoseMessage"]).with_code(1).lines.is_empty());
}

#[test]
fn topics_of_rust_and_python_nodes_are_listed_alike() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let _peers = populated(&folder);
    check_names(&folder);
}

#[test]
fn topics_are_listed_by_a_python_daemon_as_by_a_rust_one() {
    let folder = Folder::new();
    let mut daemon = python::peer("daemon.py", ["--address", &folder.discovery()]);
    daemon.expect_event("ready");
    let _peers = populated(&folder);
    check_names(&folder);
}

#[test]
fn a_topic_is_described_with_fields_and_process() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (_talker, _notes, camera) = populated(&folder);
    let info = run_in(&folder, &["topic", "info", "/cam"]).with_code(0);
    let expected = [
        "topic        /cam".to_owned(),
        "type         cortex.messages.standard.ImageMessage".to_owned(),
        format!("fingerprint  {IMAGE}"),
        "node         camera".to_owned(),
        format!("address      {}", folder.address("camera.sock")),
        format!("listening    yes (process {})", camera.id()),
        "transport    libzmq".to_owned(),
        "subscribers  none".to_owned(),
        "fields       data: array".to_owned(),
        "             encoding: str".to_owned(),
        "             width: int".to_owned(),
        "             height: int".to_owned(),
    ];
    assert_eq!(info.lines, expected);
    let info = run_in(&folder, &["topic", "info", "--json", "/t"]).with_code(0).json();
    assert_eq!(info[0]["fingerprint"], STRING);
    assert_eq!(info[0]["class"], "cortex.messages.standard.StringMessage");
    assert_eq!(info[0]["fields"], json!([{ "name": "data", "type": "str", "optional": false }]));
    assert_eq!(info[0]["listening"], true);
    assert_eq!(info[0]["pid"], std::process::id());
}

#[test]
fn an_unpublished_topic_is_an_error_with_advice() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let _peers = populated(&folder);
    for verb in ["info", "type", "echo", "hz", "bw", "delay"] {
        let ended = run_in(&folder, &["topic", verb, "gone"]).with_code(1);
        assert_eq!(
            ended.stderr,
            "cortex: no publisher of gone (--timeout SECONDS waits for one)\n"
        );
    }
    let ended = run_in(&folder, &["topic", "info", "CAM", "--timeout", "0.1"]).with_code(1);
    assert_eq!(ended.stderr, "cortex: no publisher of CAM; similar topics: /cam\n");
}

#[test]
fn nodes_and_the_graph_are_shown_as_text_and_as_json() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (_talker, _notes, camera) = populated(&folder);
    assert_eq!(run_in(&folder, &["node", "list"]).with_code(0).lines, ["camera", "talker"]);
    let nodes = run_in(&folder, &["node", "list", "--json"]).json();
    let talker = json!({ "node": "talker", "topics": ["/t"], "subscriptions": [] });
    assert_eq!(nodes[1], talker);
    let info = run_in(&folder, &["node", "info", "camera"]).with_code(0);
    assert_eq!(info.lines[0], format!("camera  process {}", camera.id()));
    assert_eq!(info.lines[1], format!("  /cam  ImageMessage  {}", folder.address("camera.sock")));
    let info = run_in(&folder, &["node", "info", "talker", "--json"]).json();
    assert_eq!(
        (&info[0]["pid"], &info[0]["topics"][0]["name"]),
        (&json!(std::process::id()), &json!("/t"))
    );
    let missing = run_in(&folder, &["node", "info", "arm"]).with_code(1);
    assert_eq!(
        missing.stderr,
        "cortex: no node arm publishes a topic; nodes that do: camera, talker\n"
    );

    let drawn = run_in(&folder, &["graph"]).with_code(0);
    assert_eq!(drawn.lines, ["camera", "└─ /cam  ImageMessage", "talker", "└─ /t  StringMessage"]);
    let edges = run_in(&folder, &["graph", "--json"]).json();
    let edge = json!({
        "node": "camera", "topic": "/cam", "message_type": "ImageMessage", "subscribers": [],
    });
    assert_eq!(edges[0], edge);
    let dot = run_in(&folder, &["graph", "--dot"]).with_code(0).text();
    assert!(dot.starts_with("digraph cortex {") && dot.contains("n0 -> n0t0;"), "{dot}");
    let mermaid = run_in(&folder, &["graph", "--mermaid"]).with_code(0).text();
    assert!(
        mermaid.contains("n1([\"talker\"])\n  n1 --> n1t0[\"/t<br/>StringMessage\"]"),
        "{mermaid}"
    );
}

#[test]
fn a_subscriber_that_holds_samples_is_shown_with_what_it_holds() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let local = |name| {
        let node = Node::builder(name).discovery(&folder.discovery()).shared_memory(true);
        node.transport(Transport::Local).create().expect("a node")
    };
    let (talker, listener) = (local("talker"), local("listener"));
    let frames = talker.publisher::<ArrayMessage>("/frames").create().expect("it binds");
    let mut seen = listener.subscriber::<ArrayMessage>("/frames").create().expect("it follows");
    connect(&mut seen, &frames, 1);
    for _ in 0..2 {
        let loan = frames.loan::<u8>(&[1_000_000]).expect("memory");
        let sent = loan.publish(|data| ArrayMessage { data, name: "frame", frame_id: "camera" });
        sent.expect("it is published");
    }
    drop(seen.recv_timeout(DEADLINE).expect("no error").expect("in time"));
    let kept = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    let peer = || frames.stats().peers.remove(0);
    wait_until("it is held for a second", || {
        peer().held == Some(1) && peer().held_for >= Some(Duration::from_secs(1))
    });
    let info = run_in(&folder, &["topic", "info", "/frames"]).text();
    assert!(info.contains(", 2 in shared memory, holds 1 array (1"), "{info}");
    let info = run_in(&folder, &["topic", "info", "--json", "/frames"]).with_code(0).json();
    let shown = &info[0]["publishers"][0]["subscribers"][0];
    assert_eq!((&shown["shared_memory"], &shown["lent"]), (&json!(true), &json!(2)));
    assert_eq!((&shown["held"], &shown["held_bytes"]), (&json!(1), &json!(1_000_000)));
    assert!(shown["held_seconds"].as_f64() >= Some(1.0), "{shown}");
    drop(kept);
    wait_until("it is returned", || peer().held == Some(0) && peer().held_for.is_none());
    let doctor = run_in(&folder, &["doctor"]).text();
    assert!(doctor.contains("memory") && !doctor.contains("holds"), "{doctor}");
}

#[test]
fn subscribers_are_shown_with_their_nodes_or_processes() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (talker, listener) = (node(&folder, "talker"), node(&folder, "listener"));
    let notes = registered(&talker);
    let mut seen = listener.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    connect(&mut seen, &notes, 1);
    let discovery = folder.discovery();
    let arguments = ["--message", "StringMessage", "--count", "1", "--discovery", &discovery];
    let script = "subscriber.py";
    let python = python::peer(script, ["--topic", "/t"].iter().chain(&arguments));
    wait_until("both subscribe", || notes.subscriber_count() == 2);

    let (ours, theirs) = (std::process::id(), python.id());
    let info = run_in(&folder, &["topic", "info", "--json", "/t"]).with_code(0).json();
    assert_eq!(info[0]["transport"], "local");
    let subscribers = &info[0]["publishers"][0]["subscribers"];
    let find = |pid: u32| {
        let list = subscribers.as_array().expect("a list");
        list.iter().find(|peer| peer["pid"] == pid).expect("it subscribes")
    };
    let (first, second) = (find(ours), find(theirs));
    assert_eq!((&first["node"], &first["lost"]), (&json!("listener"), &json!(0)));
    assert_eq!((&second["node"], &second["waiting_bytes"]), (&Json::Null, &json!(0)));
    let process = format!("{} {theirs}", second["process"].as_str().expect("known"));
    let info = run_in(&folder, &["topic", "info", "/t"]).text();
    for line in ["transport    local", &format!("listener (process {ours})"), &process] {
        assert!(info.contains(line), "{line}: {info}");
    }

    assert_eq!(run_in(&folder, &["node", "list"]).lines, ["listener", "talker"]);
    let lines = run_in(&folder, &["node", "info", "listener"]).with_code(0).lines;
    assert_eq!(lines, [format!("listener  process {ours}"), "  ← /t".to_owned()]);
    let talker = run_in(&folder, &["node", "info", "talker"]).with_code(0).text();
    assert!(talker.contains(&format!("  → {process}")), "{talker}");
    let drawn = run_in(&folder, &["graph"]).lines;
    assert_eq!(drawn, ["talker", &format!("└─ /t  StringMessage  → listener, {process}")]);
    let edges = run_in(&folder, &["graph", "--json"]).json();
    assert_eq!(edges[0]["subscribers"], json!(["listener", process]));
    let doctor = run_in(&folder, &["doctor", "--json"]).json();
    let transports = doctor.iter().find(|finding| finding["check"] == "transports");
    assert_eq!(transports.expect("it is checked")["text"], "local: /t");
}

#[test]
fn an_empty_graph_has_no_topics_and_no_nodes() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    for arguments in [&["topic", "list"][..], &["node", "list"], &["graph"]] {
        assert_eq!(run_in(&folder, arguments).with_code(0).lines, [""; 0]);
    }
    assert_eq!(
        run_in(&folder, &["topic", "hz", "--all", "-d", "0.1"]).with_code(1).stderr,
        "cortex: no topic is registered yet\ncortex: no topic is registered\n"
    );
    let _: Vec<Json> = run_in(&folder, &["graph", "--json"]).json();
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    for arguments in
        [&["--help"][..], &["--version"], &["topic", "pub", "--help"], &["topic", "list", "-c"]]
    {
        let full = std::fs::File::create("/dev/full").expect("a device");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cortex"));
        command.args(arguments).env("CORTEX_DISCOVERY", folder.discovery()).stdout(full);
        let ended = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {text}");
        assert!(text.contains("No space left on device"), "{arguments:?}: {text}");
    }
}
