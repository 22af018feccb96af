//! Every verb on two equal graphs, one of Rust and one of Python nodes: the output is the same, as
//! text and as JSON.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use cortex_std::discovery::DaemonHandle;
use cortex_std::wire::{Header, StringMessage};
use cortex_std::{Node, Registration};
use cortex_tests::graph::{Folder, connect, daemon, node};
use cortex_tests::{DEADLINE, Program, golden, python, wait_until};
use serde_json::{Value as Json, json};

use crate::{Ended, end, run_in, start_in};

const NODE: &str = "camera";
const TOPIC: &str = "/cam/frame";
/// Arrays, maps, lists, text and numbers in one message.
const MESSAGE: &str = "dict_nested_arrays";
/// The socket of a Rust publisher with that node and topic; the Python publisher binds the same.
const SOCKET: &str = "topics/camera__cam_frame-003c1ee8be5fa746.sock";

/// A publisher of golden messages, at 100 Hz.
struct RustPublisher {
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _node: Node,
}

impl RustPublisher {
    fn start(folder: &Folder) -> Self {
        let camera = node(folder, NODE);
        let case = golden::message(MESSAGE);
        let frames = golden::frames(&case);
        let sent = Header::decode(&frames[0]).expect("a header");
        let name = case["message"].as_str().expect("a name").to_owned();
        let publisher = camera.raw_publisher(TOPIC, &name, sent.fingerprint).expect("it binds");
        assert_eq!(publisher.address(), folder.address(SOCKET));
        let is_known = || publisher.registration() == Some(Registration::Registered);
        wait_until("it is registered", is_known);
        let is_stopping = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&is_stopping);
        let thread = std::thread::spawn(move || {
            let mut sequence = 0;
            while !ending.load(Ordering::Relaxed) {
                let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos();
                let timestamp_ns = u64::try_from(now).expect("before 2554");
                let header = Header { timestamp_ns, sequence, ..sent }.encode();
                let mut parts = vec![TOPIC.as_bytes(), &header];
                parts.extend(frames[1..].iter().map(Vec::as_slice));
                publisher.send(&parts).expect("it is sent");
                sequence += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        Self { is_stopping, thread: Some(thread), _node: camera }
    }
}

impl Drop for RustPublisher {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Two equal graphs, of a Rust and of a Python publisher.
struct Graphs {
    folders: [Folder; 2],
    python: Program,
    _rust: RustPublisher,
    _daemons: [DaemonHandle; 2],
}

impl Graphs {
    fn new() -> Self {
        let folders = [Folder::new(), Folder::new()];
        let daemons = [daemon(&folders[0]), daemon(&folders[1])];
        let rust = RustPublisher::start(&folders[0]);
        let golden = golden::path("messages.json").display().to_string();
        let (discovery, address) = (folders[1].discovery(), folders[1].address(SOCKET));
        let arguments = [
            ["--discovery", &*discovery],
            ["--node", NODE],
            ["--topic", TOPIC],
            ["--address", &address],
            ["--golden", &golden],
            ["--names", MESSAGE],
            ["--period", "0.01"],
        ];
        let mut python = python::peer("publisher.py", arguments.concat());
        python.expect_event("ready");
        Self { folders, python, _rust: rust, _daemons: daemons }
    }

    /// Checks that the masked output of a command is equal for both graphs, and returns it.
    #[track_caller]
    fn assert_same_output<T: PartialEq + std::fmt::Debug>(
        &self,
        run: impl Fn(&Folder) -> Ended,
        mask: impl Fn(&Ended) -> T,
    ) -> T {
        let [rust, python] = [&self.folders[0], &self.folders[1]].map(|folder| {
            let mut ended = run(folder);
            let path = folder.path().display().to_string();
            for line in &mut ended.lines {
                *line = line.replace(&path, "FOLDER");
                *line = line.replace("transport    local", "transport    libzmq");
                *line = line.replace("\"transport\":\"local\"", "\"transport\":\"libzmq\"");
                for (pid, before) in [
                    (std::process::id(), "process "),
                    (std::process::id(), "\"pid\":"),
                    (self.python.id(), "process "),
                    (self.python.id(), "\"pid\":"),
                ] {
                    *line = line.replace(&format!("{before}{pid}"), &format!("{before}PID"));
                }
            }
            (mask(&ended), ended)
        });
        assert_eq!(rust.0, python.0, "{:?}\n{:?}", rust.1, python.1);
        assert_eq!((rust.1.code, &*rust.1.stderr), (python.1.code, &*python.1.stderr));
        rust.0
    }
}

#[test]
fn topics_and_nodes_of_rust_and_python_are_shown_alike() {
    let graphs = Graphs::new();
    for arguments in [
        &["topic", "list"][..],
        &["topic", "list", "--show-types"],
        &["topic", "list", "--verbose"],
        &["topic", "list", "--count-topics"],
        &["topic", "info", TOPIC],
        &["topic", "type", TOPIC],
        &["topic", "find", "DictMessage"],
        &["node", "list"],
        &["node", "info", NODE],
        &["graph"],
        &["graph", "--dot"],
        &["graph", "--mermaid"],
    ] {
        let run = |folder: &Folder| run_in(folder, arguments).with_code(0);
        let lines = graphs.assert_same_output(run, |ended| ended.lines.clone());
        assert!(!lines.is_empty(), "{arguments:?}");
        if arguments[0] == "graph" && arguments.len() > 1 {
            continue;
        }
        let run = |folder: &Folder| run_in(folder, &[arguments, &["--json"]].concat());
        let objects = graphs.assert_same_output(run, |ended| ended.lines.clone());
        assert!(objects.iter().all(|line| line.starts_with('{')), "{arguments:?}: {objects:?}");
    }
}

#[test]
fn messages_of_rust_and_python_nodes_are_shown_alike() {
    let graphs = Graphs::new();
    for flags in [
        &[][..],
        &["--full"],
        &["--no-arr"],
        &["--csv"],
        &["--field", "data"],
        &["--raw"],
        &["--json"],
        &["--json", "--full"],
        &["--json", "--no-arr"],
        &["--json", "--field", "data"],
        &["--json", "--typed"],
    ] {
        let arguments = [&["topic", "echo", "-n", "2", TOPIC], flags].concat();
        let run = |folder: &Folder| run_in(folder, &arguments).with_code(0);
        let shown = graphs.assert_same_output(run, |ended| {
            let mask = |line: &String| match line.parse::<Json>() {
                // Sequence numbers and times differ.
                Ok(mut object @ Json::Object(_)) => {
                    object["sequence"] = Json::Null;
                    object["timestamp_ns"] = Json::Null;
                    object.to_string()
                }
                // The same, in the header behind the fingerprint.
                _ if flags == ["--raw"] => format!("{} {}", &line[..16], &line[48..]),
                _ if flags == ["--csv"] => {
                    line.splitn(3, ',').last().expect("the node and the values").to_owned()
                }
                _ => line.split("  #").next().expect("the first part").to_owned(),
            };
            ended.lines.iter().map(mask).collect::<Vec<_>>()
        });
        assert!(shown.len() >= 2, "{flags:?}: {shown:?}");
    }
}

#[test]
fn rates_of_rust_and_python_nodes_are_shown_alike() {
    let graphs = Graphs::new();
    let commands: Vec<_> = ["hz", "bw", "delay"]
        .into_iter()
        .flat_map(|verb| [vec!["topic", verb, TOPIC], vec!["topic", verb, TOPIC, "--json"]])
        .collect();
    // All at the same time, since each takes three seconds.
    // All at the same time, since each takes three seconds.
    let start = |arguments: &Vec<_>| graphs.folders.each_ref().map(|at| start_in(at, arguments));
    let started: Vec<_> = commands.iter().map(start).collect();
    for programs in started {
        let programs = RefCell::new(programs.into_iter());
        let run = |_: &Folder| {
            let mut measuring = programs.borrow_mut().next().expect("one for each graph");
            for _ in 0..2 {
                measuring.next_line();
            }
            // The third line has values of a full second.
            measuring.next_line();
            measuring.interrupt();
            end(measuring).with_code(0)
        };
        let shown = graphs.assert_same_output(run, |ended| {
            // The third line and the summary.
            [&ended.lines[2], &ended.lines[ended.lines.len() - 1]].map(|line| {
                match line.parse::<Json>() {
                    Ok(object) => without_numbers(object).to_string(),
                    Err(_) => without_numbers_in(line),
                }
            })
        });
        assert!(shown.iter().all(|line| line.contains(TOPIC)), "{shown:?}");
    }
}

#[test]
fn doctor_has_the_same_findings_for_rust_and_python_nodes() {
    let graphs = Graphs::new();
    let text = graphs.assert_same_output(
        |folder| run_in(folder, &["doctor"]),
        |ended| {
            let check = |line: &String| line.split_once(": ").map(|(check, _)| check.to_owned());
            ended.lines.iter().map(check).collect::<Vec<_>>()
        },
    );
    assert!(text.len() > 5, "{text:?}");
    let objects = graphs.assert_same_output(
        |folder| run_in(folder, &["doctor", "--json"]),
        |ended| {
            let check = |finding: Json| (finding["check"].clone(), finding["status"].clone());
            ended.json().into_iter().map(check).collect::<Vec<_>>()
        },
    );
    assert!(objects.contains(&(json!("topics"), json!("ok"))), "{objects:?}");
}

#[test]
fn rust_and_python_nodes_receive_the_same_messages_from_pub() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    for json in [false, true] {
        let flags = if json { &["--json"][..] } else { &[] };
        let publishing =
            ["topic", "pub", "--times", "3", "-r", "50", "/out", "StringMessage", "hi"];
        let arguments = [&publishing, flags].concat();
        let listener = node(&folder, "listener");
        let mut subscriber =
            listener.subscriber::<StringMessage>("/out").create().expect("a subscriber");
        let publisher = start_in(&folder, &arguments);
        let mut rust = Vec::new();
        for _ in 0..3 {
            let sample = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
            let message = sample.message().expect("it decodes");
            rust.push((sample.header().sequence.to_string(), message.data.to_owned()));
        }
        let said_to_rust = end(publisher).with_code(0);
        drop((subscriber, listener));

        let publisher = start_in(&folder, &arguments);
        let discovery = folder.discovery();
        let wanted = ["--topic", "/out", "--message", "StringMessage", "--count", "3"];
        let wanted = [&["--discovery", &*discovery][..], &wanted].concat();
        let mut subscriber = python::peer("subscriber.py", wanted);
        let mut python = Vec::new();
        for _ in 0..3 {
            let message = subscriber.expect_event("message");
            let sequence = message["sequence"].to_string().trim_matches('"').to_owned();
            let text = message["fields"][0]["value"]["str"].as_str().expect("text").to_owned();
            python.push((sequence, text));
        }
        let said_to_python = end(publisher).with_code(0);
        assert_eq!(rust, python);
        let mask = |ended: &Ended| match json {
            false => ended.lines.clone(),
            true => ended.json().into_iter().map(|o| without_numbers(o).to_string()).collect(),
        };
        assert_eq!(mask(&said_to_rust), mask(&said_to_python));
        assert_eq!(said_to_rust.lines.len(), 3);
    }
}

#[test]
fn cortex_discovery_serves_rust_and_python_nodes() {
    for json in [false, true] {
        let folder = Folder::new();
        let address = folder.discovery();
        let flags = if json { &["--json"][..] } else { &[] };
        let mut serving = start_in(&folder, &[&["discovery"], flags].concat());
        if json {
            let expected = json!({ "listening": [address], "pid": serving.id() });
            assert_eq!(serving.next_json(), expected);
        } else {
            wait_until("it logs its address", || serving.stderr().contains(&address));
        }
        let talker = node(&folder, "talker");
        let notes = cortex_tests::graph::registered(&talker);
        let python = crate::python_publisher(&folder, "clock", "/tick", "int_1");
        let listed = run_in(&folder, &["topic", "list", "-t"]).with_code(0);
        assert_eq!(listed.lines, ["/t     StringMessage  talker", "/tick  IntMessage     clock"]);
        let mut subscriber = talker
            .subscriber::<cortex_std::wire::IntMessage>("/tick")
            .create()
            .expect("it is made");
        assert!(subscriber.recv_timeout(DEADLINE).expect("no error").is_some());
        let mut own = talker.subscriber::<StringMessage>("/t").create().expect("it is made");
        connect(&mut own, &notes, 1);
        // A second daemon at the same address fails.
        let second = run_in(&folder, &["discovery", "--address", &address]).with_code(1);
        assert!(second.stderr.contains("in use by process"), "{second:?}");
        drop((own, subscriber, notes, talker, python));
        serving.interrupt();
        let ended = end(serving).with_code(0);
        assert_eq!(ended.lines.len(), usize::from(json), "{ended:?}");
    }
}

/// The JSON with zero in place of each number and each null.
fn without_numbers(json: Json) -> Json {
    match json {
        Json::Number(_) | Json::Null => json!(0),
        Json::Array(items) => items.into_iter().map(without_numbers).collect(),
        Json::Object(entries) => {
            entries.into_iter().map(|(name, value)| (name, without_numbers(value))).collect()
        }
        // A timestamp as text.
        Json::String(text) if text.parse::<u64>().is_ok() => json!("0"),
        other => other,
    }
}

/// The words of a line, without numbers and the units behind them.
fn without_numbers_in(line: &str) -> String {
    let units = ["us", "ms", "s", "Hz", "%", "B", "kB", "MB", "GB"];
    let is_unit = |word: &str| {
        let word = word.trim_end_matches([',', ')']);
        units.contains(&word.trim_end_matches("/s").trim_start_matches('('))
    };
    let is_number =
        |word: &str| word.trim_start_matches('(').starts_with(|c: char| c.is_ascii_digit());
    let words = line.split_whitespace().filter(|word| !is_unit(word) && !is_number(word));
    words.collect::<Vec<_>>().join(" ")
}
