//! `cortex bag`: recordings of Rust and Python nodes, cut off, damaged, and played back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use cortex_bag::{Message, Reader};
use cortex_std::discovery::Client;
use cortex_std::raw::RawSubscriber;
use cortex_std::wire::Header;
use cortex_std::{Node, Registration};
use cortex_tests::graph::{Folder, daemon, node};
use cortex_tests::{DEADLINE, Program, golden, python, wait_until};

use crate::{end, python_publisher, run_in, start_in};

const CLASS: &str = "Own";
const FINGERPRINT: u64 = 77;

/// A publisher of an own class, each millisecond; every tenth sequence number is left out if it is lossy.
struct Publisher {
    is_stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _node: Node,
}

impl Publisher {
    fn start(folder: &Folder, name: &str, topic: &'static str, len: usize, lossy: bool) -> Self {
        let own = node(folder, name);
        let publisher = own.raw_publisher(topic, CLASS, FINGERPRINT).expect("it binds");
        let is_known = || publisher.registration() == Some(Registration::Registered);
        wait_until("it is registered", is_known);
        let is_stopping = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&is_stopping);
        let thread = std::thread::spawn(move || {
            for sequence in 0_u64.. {
                if ending.load(Ordering::Relaxed) {
                    return;
                }
                let data: Vec<u8> = (0..len).map(|at| (at as u64 ^ sequence) as u8).collect();
                let timestamp_ns = now_ns();
                let header = Header { fingerprint: FINGERPRINT, timestamp_ns, sequence };
                if !lossy || sequence % 10 != 9 {
                    publisher
                        .send(&[topic.as_bytes(), &header.encode(), b"\x91\x07", &data, b""])
                        .expect("it is sent");
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { is_stopping, thread: Some(thread), _node: own }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn now_ns() -> u64 {
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos();
    u64::try_from(now).expect("before 2554")
}

fn bag(folder: &Folder, name: &str) -> (PathBuf, String) {
    let path = folder.path().join(name);
    let text = path.display().to_string();
    (path, text)
}

fn messages(path: &Path) -> Vec<Message> {
    let mut reader = Reader::open(path).expect("it opens");
    let messages = reader.by_ref().map(|next| next.expect("no damage")).collect();
    assert!(reader.is_complete());
    messages
}

/// The frames of each topic, in order.
fn by_topic(messages: &[Message]) -> BTreeMap<String, Vec<Vec<Vec<u8>>>> {
    let mut topics = BTreeMap::<_, Vec<_>>::new();
    for message in messages {
        let frames = message.frames().map(<[u8]>::to_vec).collect();
        topics.entry(message.channel.topic.clone()).or_default().push(frames);
    }
    topics
}

fn sequences(frames: &[Vec<Vec<u8>>]) -> Vec<u64> {
    frames.iter().map(|frames| Header::decode(&frames[0]).expect("a header").sequence).collect()
}

/// Waits until a recorder has written so many messages, and a second more for the end of the chunk.
#[track_caller]
fn wait_for_messages(recording: &mut Program, count: u64) {
    let written = |object: &serde_json::Value| object["messages"].as_u64().expect("a number");
    while written(&recording.next_json()) < count {}
    recording.next_json();
}

/// A subscriber to a topic that is played, and will be.
fn subscriber(folder: &Folder, topic: &str) -> RawSubscriber {
    let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
    let mut address = None;
    wait_until("it is registered", || {
        address = client.look_up(topic).expect("an answer").map(|found| found.topic.address);
        address.is_some()
    });
    let mut subscriber = RawSubscriber::with_queue(0).expect("a subscriber");
    subscriber.connect_also(&address.expect("it was found")).expect("it connects");
    subscriber.subscribe(topic.as_bytes()).expect("it subscribes");
    subscriber
}

/// The frames after the topic of so many messages.
fn receive(subscriber: &mut RawSubscriber, count: usize) -> Vec<Vec<Vec<u8>>> {
    let mut receive = || {
        let message = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
        message.frames().skip(1).map(<[u8]>::to_vec).collect()
    };
    (0..count).map(|_| receive()).collect()
}

#[test]
fn a_recording_of_rust_and_python_nodes_is_played_back_byte_for_byte() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (path, text) = bag(&folder, "drive.mcap");
    let recorded = {
        let _own = Publisher::start(&folder, "arm", "/own", 3000, false);
        let _python = python_publisher(&folder, "camera", "/cam", "image_explicit");
        let arguments = ["bag", "record", "-a", "-o", &text, "--compress", "lz4", "--json"];
        let mut recording = start_in(&folder, &arguments);
        wait_for_messages(&mut recording, 1500);
        recording.interrupt();
        let ended = end(recording).with_code(0);
        let summary = ended.json().pop().expect("a summary");
        let found = messages(&path);
        assert_eq!(summary["messages"], found.len());
        assert_eq!((&summary["lost"], &summary["dropped"]), (&0.into(), &0.into()));
        by_topic(&found)
    };
    assert_eq!(recorded.keys().collect::<Vec<_>>(), ["/cam", "/own"]);
    let image = golden::frames(&golden::message("image_explicit"));
    assert!(recorded["/cam"].iter().all(|frames| frames[1..] == image[1..]));
    let own = sequences(&recorded["/own"]);
    assert!(own.windows(2).all(|pair| pair[1] == pair[0] + 1), "{own:?}");

    let info = run_in(&folder, &["bag", "info", &text, "--json"]).with_code(0).json().remove(0);
    assert_eq!((&info["complete"], &info["compression"]), (&true.into(), &"lz4".into()));
    let [camera, arm] = [0, 1].map(|at| info["channels"][at].clone());
    assert_eq!((&camera["topic"], &camera["node"]), (&"/cam".into(), &"camera".into()));
    assert_eq!(camera["class"], "cortex.messages.standard.ImageMessage");
    assert_eq!(camera["fields"][0]["name"], "data");
    assert_eq!((&arm["class"], &arm["messages"]), (&CLASS.into(), &own.len().into()));
    let shown = run_in(&folder, &["bag", "info", &text]).with_code(0).text();
    assert!(shown.contains("/cam") && shown.contains("ImageMessage  camera"), "{shown}");

    // Into another graph: the daemon of this one may not have noticed yet that a Python node ended.
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let mut playing = start_in(&folder, &["bag", "play", &text, "--wait", "1", "--json"]);
    let mut topics = ["/cam", "/own"].map(|topic| (topic, subscriber(&folder, topic)));
    std::thread::scope(|scope| {
        for (topic, subscriber) in &mut topics {
            let expected = &recorded[*topic];
            scope.spawn(move || assert!(receive(subscriber, expected.len()) == *expected));
        }
    });
    playing.wait();
    let summary = end(playing).with_code(0).json().pop().expect("a summary");
    assert_eq!(summary["messages"], recorded.values().map(Vec::len).sum::<usize>());

    let play = ["bag", "play", &text, "--topics", "/cam", "--wait", "1", "--rate", "20"];
    let playing = start_in(&folder, &play);
    let discovery = folder.discovery();
    let wanted = ["--topic", "/cam", "--message", "ImageMessage", "--count", "5"];
    let wanted = [&["--discovery", &*discovery][..], &wanted].concat();
    let mut python = python::peer("subscriber.py", wanted);
    for expected in sequences(&recorded["/cam"]).iter().take(5) {
        let sequence = python.expect_event("message")["sequence"].to_string();
        assert_eq!(sequence.trim_matches('"'), expected.to_string());
    }
    drop(python);
    end(playing);
}

#[test]
fn a_recording_that_was_killed_is_repaired_and_read_by_mcap_of_pypi() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (path, text) = bag(&folder, "killed.mcap");
    let _own = Publisher::start(&folder, "arm", "/own", 500, false);
    let _python = python_publisher(&folder, "camera", "/cam", "image_explicit");
    let mut recording = start_in(&folder, &["bag", "record", "-a", "-o", &text, "--json"]);
    wait_for_messages(&mut recording, 500);
    recording.kill();
    recording.wait();
    let shown = run_in(&folder, &["bag", "info", &text]).with_code(1).text();
    assert!(shown.contains("cortex bag repair"), "{shown}");
    let repaired = run_in(&folder, &["bag", "repair", &text]).with_code(0).text();
    assert!(repaired.contains("the file ends before its recording was finished"), "{repaired}");
    assert!(path.is_file());
    let (path, text) = bag(&folder, "killed_repaired.mcap");
    let found = messages(&path);
    assert!(found.len() >= 500, "{}", found.len());
    let own = sequences(&by_topic(&found)["/own"]);
    assert!(own.windows(2).all(|pair| pair[1] == pair[0] + 1), "{own:?}");

    // In the order of arrival; ours are in the order of the file.
    let mut expected: Vec<_> = found
        .iter()
        .map(|message| {
            let header = golden::hex(message.frames().next().expect("a header"));
            (message.arrival_ns, message.channel.topic.clone(), header)
        })
        .collect();
    expected.sort();
    let mut reader = python::peer("bag_reader.py", [&text]);
    let mut read = Vec::new();
    for _ in 0..expected.len() {
        let message = reader.expect_event("message");
        let is_image = message["topic"] == "/cam";
        let class = if is_image { "cortex.messages.standard.ImageMessage" } else { CLASS };
        assert_eq!(message["class"], class);
        if is_image {
            assert_eq!(message["node"], "camera");
            assert!(message["values"][0][0].is_string(), "an array: {message}");
        }
        let text = |name: &str| message[name].as_str().expect("text").to_owned();
        let time = message["log_time"].as_u64().expect("a number");
        read.push((time, text("topic"), text("header")));
    }
    assert!(reader.wait().success());
    read.sort();
    assert_eq!(read, expected);
    let again = run_in(&folder, &["bag", "repair", &text]).with_code(0).text();
    assert!(again.contains("nothing to repair"), "{again}");
}

#[test]
fn a_full_disk_ends_a_recording_with_a_reason_and_a_complete_file() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (path, text) = bag(&folder, "full.mcap");
    let _own = Publisher::start(&folder, "arm", "/own", 100_000, false);
    // A limit of the size of files fails as a full disk does, and needs no rights.
    let script = "trap '' XFSZ; ulimit -f 10000; exec \"$0\" \"$@\"";
    let mut command = Command::new("bash");
    command.args([
        "-c",
        script,
        env!("CARGO_BIN_EXE_cortex"),
        "bag",
        "record",
        "/own",
        "-o",
        &text,
    ]);
    command.env("CORTEX_DISCOVERY", folder.discovery());
    let ended = end(Program::spawn(command)).with_code(1);
    assert!(ended.stderr.contains("complete up to there: cannot write the bag: "), "{ended:?}");
    let found = messages(&path);
    assert!(found.len() > 20, "{}", found.len());
    run_in(&folder, &["bag", "info", &text]).with_code(0);
}

#[test]
fn losses_are_counted_and_a_count_ends_the_recording() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (path, text) = bag(&folder, "lossy.mcap");
    let _own = Publisher::start(&folder, "arm", "/lossy", 10, true);
    let record = ["bag", "record", "-e", "^/lo", "-o", &text, "--count", "300", "--json"];
    let ended = run_in(&folder, &record).with_code(1);
    let summary = ended.json().pop().expect("a summary");
    let found = messages(&path);
    assert_eq!((found.len(), &summary["messages"]), (300, &300.into()));
    let own = sequences(&by_topic(&found)["/lossy"]);
    let lost = own[299] - own[0] - 299;
    assert_eq!((&summary["lost"], &summary["dropped"]), (&lost.into(), &0.into()));
    let info = run_in(&folder, &["bag", "info", &text, "--json"]).with_code(0).json().remove(0);
    assert_eq!(info["channels"][0]["lost"], lost);
}

#[test]
fn a_topic_is_played_under_another_name_with_the_time_of_playing() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (path, text) = bag(&folder, "own.mcap");
    {
        let _own = Publisher::start(&folder, "arm", "/own", 10, false);
        run_in(&folder, &["bag", "record", "/own", "-o", &text, "--count", "200"]).with_code(0);
    }
    let found = messages(&path);
    let before = now_ns();
    let play = ["bag", "play", &text, "--remap", "/own:=/again", "--now", "--wait", "1"];
    let playing = start_in(&folder, &play);
    let received = receive(&mut subscriber(&folder, "/again"), found.len());
    let recorded = &by_topic(&found)["/own"];
    assert_eq!(sequences(&received), sequences(recorded));
    for (received, recorded) in received.iter().zip(recorded) {
        assert_eq!(received[1..], recorded[1..]);
        assert!(Header::decode(&received[0]).expect("a header").timestamp_ns >= before);
    }
    let ended = end(playing).with_code(0);
    assert!(ended.text().contains("200 messages of 1 publisher in"), "{ended:?}");

    // The middle of the recording.
    let start_ns = found[0].arrival_ns;
    let offset = Duration::from_nanos(found[100].arrival_ns - start_ns).as_secs_f64();
    let arguments = ["bag", "play", &text, "--wait", "1", "--start", &offset.to_string()];
    let playing = start_in(&folder, &arguments);
    let received = receive(&mut subscriber(&folder, "/own"), 100);
    assert_eq!(sequences(&received), sequences(&recorded[100..]));
    end(playing).with_code(0);
}

#[test]
fn wrong_usage_and_missing_files_are_told() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (path, text) = bag(&folder, "there.mcap");
    std::fs::write(&path, "no bag").expect("it is written");
    run_in(&folder, &["bag", "record"]).with_code(2);
    run_in(&folder, &["bag", "record", "-e", "("]).with_code(2);
    run_in(&folder, &["bag", "play", &text, "--rate", "0"]).with_code(2);
    let exists = run_in(&folder, &["bag", "record", "-a", "-o", &text]).with_code(1);
    assert!(exists.stderr.contains("exists"), "{exists:?}");
    let info = run_in(&folder, &["bag", "info", &text]).with_code(1);
    assert!(info.text().contains("at byte 0"), "{info:?}");
    let missing = run_in(&folder, &["bag", "play", "/nonexistent.mcap"]).with_code(1);
    assert!(missing.stderr.contains("/nonexistent.mcap"), "{missing:?}");
    let nothing = run_in(&folder, &["bag", "repair", &text]).with_code(1);
    assert!(nothing.text().contains("no message"), "{nothing:?}");
    assert_eq!(std::fs::read(&path).expect("it is there"), b"no bag");
}
