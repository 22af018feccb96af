//! `cortex topic hz`, `bw` and `delay`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cortex_std::raw::RawPublisher;
use cortex_std::wire::{Header, StringMessage};
use cortex_std::{Node, Publisher, Registration};
use cortex_tests::graph::{Folder, daemon, node};
use cortex_tests::wait_until;
use serde_json::{Value as Json, json};

use crate::{Ended, end, python_publisher, run_in, start_in};

fn publisher(node: &Node, topic: &str) -> RawPublisher {
    let publisher = node.raw_publisher(topic, "StringMessage", 1).expect("it binds");
    wait_until("it is registered", || publisher.registration() == Some(Registration::Registered));
    publisher
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_nanos()).expect("before 2554")
}

/// Publishes one message per millisecond while `work` runs. Of every ten sequence numbers the last
/// `missing` are not sent. The timestamp in a header is `age` ago.
fn while_published<T>(
    publisher: &RawPublisher,
    topic: &str,
    missing: u64,
    age: Duration,
    work: impl FnOnce() -> T,
) -> T {
    let is_stopping = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let age = u64::try_from(age.as_nanos()).expect("a short time");
            let mut sequence = 0;
            while !is_stopping.load(Ordering::Relaxed) {
                if sequence % 10 < 10 - missing {
                    let header = Header { fingerprint: 1, timestamp_ns: now_ns() - age, sequence };
                    let frames: [&[u8]; 3] = [topic.as_bytes(), &header.encode(), b"\x91\xa2hi"];
                    publisher.send(&frames).expect("it is sent");
                }
                sequence += 1;
                thread::sleep(Duration::from_millis(1));
            }
        });
        // Ends the thread also if `work` panics.
        let _stop = Stop(&is_stopping);
        work()
    })
}

fn number(json: &Json) -> f64 {
    json.as_f64().unwrap_or_else(|| panic!("{json} is not a number"))
}

/// The JSON output of a command that is interrupted after it has received so many messages.
#[track_caller]
fn measured(folder: &Folder, arguments: &[&str], received: f64) -> Ended {
    let mut measuring = start_in(folder, &[&["topic"], arguments, &["--json"]].concat());
    while number(&measuring.next_json()["received"]) < received {}
    measuring.interrupt();
    end(measuring)
}

/// The text output of a command that is interrupted after a line with this text.
#[track_caller]
fn shown(folder: &Folder, arguments: &[&str], text: &str) -> Ended {
    let mut measuring = start_in(folder, &[&["topic"], arguments].concat());
    measuring.expect_line(text);
    measuring.interrupt();
    end(measuring)
}

#[test]
fn hz_reports_the_loss_of_every_tenth_message() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let lossy = node(&folder, "lossy");
    let publisher = publisher(&lossy, "/lossy");
    let ended = while_published(&publisher, "/lossy", 1, Duration::ZERO, || {
        measured(&folder, &["hz", "/lossy"], 1000.0)
    });
    // Exit code 1: messages were lost.
    let lines = ended.with_code(1).json();
    let summary = lines.last().expect("a summary");
    assert_eq!((&summary["summary"], &summary["topic"]), (&json!(true), &json!("/lossy")));
    let loss = number(&summary["loss"]);
    assert!((loss - 0.1).abs() < 0.01, "{summary}");
    assert_eq!((&summary["restarts"], &summary["node"]), (&json!(0), &json!("lossy")));
    assert!(lines.len() >= 2 && lines[0]["summary"] == false, "{lines:?}");
    // The published rate exceeds the received one by a ninth.
    let ratio = number(&summary["published_hz"]) / number(&summary["rate_hz"]);
    assert!((1.05..1.2).contains(&ratio), "{summary}");
}

#[test]
fn hz_writes_lines_of_text_and_reports_no_loss() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let _publisher = python_publisher(&folder, "clock", "/tick", "int_1");
    let ended = shown(&folder, &["hz", "/tick"], "/tick  rate ").with_code(0);
    let summary = ended.lines.last().expect("a summary");
    let line = ended.lines.iter().find(|line| line.starts_with("/tick  rate "));
    assert!(line.is_some_and(|line| line.contains("  lost 0.00 %  min ")), "{ended:?}");
    assert!(summary.contains("lost none, ") && summary.contains(" Hz published"), "{ended:?}");
    assert!(!ended.text().contains('\x1b'));
}

#[test]
fn bandwidth_counts_all_frames() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let publisher = publisher(&talker, "/bytes");
    let lines = while_published(&publisher, "/bytes", 0, Duration::ZERO, || {
        measured(&folder, &["bw", "/bytes"], 100.0).json()
    });
    let summary = lines.last().expect("a summary");
    // Topic, header and metadata.
    let len = 6.0 + 24.0 + 4.0;
    for size in ["smallest_bytes", "mean_bytes", "largest_bytes"] {
        assert_eq!(number(&summary[size]), len, "{summary}");
    }
    assert_eq!(number(&summary["bytes"]), number(&summary["received"]) * len);
    let sizes = "  mean 34 B  smallest 34 B  largest 34 B";
    while_published(&publisher, "/bytes", 0, Duration::ZERO, || {
        shown(&folder, &["bw", "/bytes"], sizes).with_code(0)
    });
}

#[test]
fn delay_is_the_age_of_messages() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let publisher = publisher(&talker, "/old");
    let age = Duration::from_secs(100);
    let lines = while_published(&publisher, "/old", 0, age, || {
        measured(&folder, &["delay", "/old"], 100.0).json()
    });
    let summary = lines.last().expect("a summary");
    let delay = &summary["delay"];
    let parts = ["min_s", "p50_s", "p90_s", "p99_s", "max_s"].map(|part| number(&delay[part]));
    assert!(parts.is_sorted() && parts[0] > 99.8 && parts[1] < 150.0, "{summary}");
    let ended = while_published(&publisher, "/old", 0, age, || {
        shown(&folder, &["delay", "/old"], "/old  p50 1").with_code(0)
    });
    assert!(ended.text().contains("delay p50 1"), "{ended:?}");
}

/// Sends messages, of which the timestamps are given by the number of the message, until `work` ends.
fn while_stamped<T>(
    publisher: &RawPublisher,
    topic: &str,
    stamp_ns: impl Fn(u64) -> u64 + Send + Sync,
    work: impl FnOnce() -> T,
) -> T {
    let is_stopping = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut sequence = 0;
            while !is_stopping.load(Ordering::Relaxed) {
                let header = Header { fingerprint: 1, timestamp_ns: stamp_ns(sequence), sequence };
                let frames: [&[u8]; 3] = [topic.as_bytes(), &header.encode(), b"\x91\xa2hi"];
                let _ = publisher.send(&frames).expect("it is sent");
                sequence += 1;
                thread::sleep(Duration::from_millis(5));
            }
        });
        // Ends the thread also if `work` panics.
        let _stop = Stop(&is_stopping);
        work()
    })
}

/// Sets a flag when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_step_of_the_publishers_clock_is_reported_and_changes_no_rate() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    for (topic, step_s) in [("/forward", 3600_i64), ("/back", -3600)] {
        let publisher = publisher(&talker, topic);
        let mut measuring = start_in(&folder, &["topic", "hz", "--json", topic]);
        wait_until("it subscribed", || publisher.subscriber_count() == 1);
        // The clock steps at the hundredth message.
        let stamp = |sequence| {
            let step = if sequence < 100 { 0 } else { step_s * 1_000_000_000 };
            now_ns().saturating_add_signed(step)
        };
        while_stamped(&publisher, topic, stamp, || {
            while number(&measuring.next_json()["received"]) < 300.0 {}
        });
        measuring.interrupt();
        let lines = end(measuring).with_code(0).json();
        let summary = lines.last().expect("a summary");
        assert_eq!(
            (&summary["clock_steps"], &summary["lost"]),
            (&json!(1), &json!(0)),
            "{summary}"
        );
        let found = number(&summary["clock_step_s"]);
        assert!((found - step_s as f64).abs() < 1.0, "{summary}");
        assert_eq!(summary["published_hz"], summary["rate_hz"], "{summary}");
    }
}

#[test]
fn the_delay_of_a_publisher_whose_clock_is_not_set_is_unknown() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let board = node(&folder, "board");
    let publisher = publisher(&board, "/imu");
    // It counts from its start.
    let stamp = |sequence| 1_000_000_000 + sequence * 5_000_000;
    let lines = while_stamped(&publisher, "/imu", stamp, || {
        measured(&folder, &["delay", "/imu"], 100.0).json()
    });
    let summary = lines.last().expect("a summary");
    assert_eq!(
        (&summary["delay"], &summary["clock"]),
        (&Json::Null, &json!("not set")),
        "{summary}"
    );
    assert_eq!(summary["clock_not_set"], summary["received"], "{summary}");
    let ended = while_stamped(&publisher, "/imu", stamp, || {
        shown(&folder, &["delay", "/imu"], "/imu  p50 -  ").with_code(0)
    });
    assert!(ended.text().contains("no delay, the publisher's clock is not set in "), "{ended:?}");
    let rates = while_stamped(&publisher, "/imu", stamp, || {
        measured(&folder, &["hz", "/imu"], 100.0).json()
    });
    assert!(number(&rates.last().expect("a summary")["published_hz"]) < 1000.0);
}

#[test]
fn a_publisher_that_stops_is_silent_without_a_rate_and_one_that_ended_leaves_no_row() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let publisher = publisher(&talker, "/tick");
    let mut watching = start_in(&folder, &["topic", "hz", "--json", "/tick"]);
    let mut text = start_in(&folder, &["topic", "hz", "--all"]);
    wait_until("they subscribed", || publisher.subscriber_count() == 2);
    while_stamped(
        &publisher,
        "/tick",
        |_| now_ns(),
        || {
            while number(&watching.next_json()["received"]) < 50.0 {}
            text.expect_line("/tick  rate ");
        },
    );
    let mut line = watching.next_json();
    while number(&line["silent_s"]) < 2.0 {
        line = watching.next_json();
    }
    assert_eq!((&line["rate_hz"], &line["published_hz"]), (&Json::Null, &Json::Null), "{line}");
    assert_eq!(line["registered"], true);
    text.expect_line("/tick  silent for ");
    drop(publisher);
    while line["registered"] == true {
        line = watching.next_json();
    }
    let shown = text.stdout().lines().count();
    // It needs a moment until the row disappears, and prints nothing from then on.
    wait_until("no rows are added", || {
        let before = text.stdout().lines().count();
        thread::sleep(Duration::from_millis(1500));
        text.stdout().lines().count() == before
    });
    assert!(text.stdout().lines().count() >= shown);
    for mut program in [watching, text] {
        program.interrupt();
        // Its line in the summary stays.
        assert!(end(program).with_code(0).text().contains("/tick"));
    }
}

#[test]
fn publishers_of_a_shared_topic_are_measured_separately() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let nodes = ["left", "right"].map(|name| node(&folder, name));
    let shared = |node: &Node| {
        let publisher = node.publisher::<StringMessage>("/log").shared().queue(1000).create();
        let publisher = publisher.expect("it binds");
        wait_until("it is registered", || publisher.registration() == Registration::Registered);
        publisher
    };
    let left = shared(&nodes[0]);
    let mut watching = start_in(&folder, &["topic", "hz", "--json", "/log"]);
    // The second publisher registers later.
    assert_eq!(watching.next_json()["node"], "left");
    let right = shared(&nodes[1]);
    let say = |publisher: &Publisher<StringMessage<'static>>| {
        publisher.publish(&StringMessage { data: "hi" }).expect("it is sent");
    };
    let mut received = [0.0, 0.0];
    while received.iter().any(|count| *count < 20.0) {
        let line = watching.next_json();
        let at = usize::from(line["node"] == "right");
        received[at] = number(&line["received"]);
        // The sequence numbers of one are far ahead of those of the other.
        (0..20).for_each(|_| say(&left));
        (0..7).for_each(|_| say(&right));
    }
    watching.interrupt();
    let summaries = end(watching).with_code(0).json();
    for line in summaries.iter().filter(|line| line["summary"] == true) {
        assert_eq!((&line["lost"], &line["restarts"]), (&json!(0), &json!(0)), "{line}");
    }
    let listed = run_in(&folder, &["topic", "list", "-t"]).with_code(0);
    assert_eq!(listed.lines, ["/log  StringMessage  left", "/log  StringMessage  right"]);
    assert_eq!(run_in(&folder, &["topic", "list"]).lines, ["/log"]);
    assert_eq!(run_in(&folder, &["topic", "list", "--count-topics"]).lines, ["1"]);
    assert_eq!(run_in(&folder, &["node", "list"]).lines, ["left", "right"]);
    // `echo` names the node of each message. First the subscriptions of `hz` must end.
    wait_until("no subscribers", || left.subscriber_count() == 0 && right.subscriber_count() == 0);
    let mut echo = start_in(&folder, &["topic", "echo", "/log"]);
    wait_until("it subscribes to both", || {
        left.subscriber_count() == 1 && right.subscriber_count() == 1
    });
    say(&right);
    let heading = echo.next_line();
    assert!(heading.starts_with("/log of right  StringMessage  #"), "{heading}");
    echo.interrupt();
    end(echo).with_code(0);
    let info = run_in(&folder, &["topic", "info", "--json", "/log"]).json();
    assert_eq!(info[0]["publishers"][1]["node"], "right");
}

#[test]
fn all_includes_topics_that_are_registered_later() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let _first = python_publisher(&folder, "one", "/one", "int_1");
    let mut watching = start_in(&folder, &["topic", "hz", "--all", "--json"]);
    while number(&watching.next_json()["received"]) == 0.0 {}
    let _second = python_publisher(&folder, "two", "/two", "string_1");
    loop {
        let line = watching.next_json();
        if line["topic"] == "/two" && number(&line["received"]) > 0.0 {
            break;
        }
    }
    watching.interrupt();
    let ended = end(watching).with_code(0).json();
    let summaries: Vec<_> = ended.iter().filter(|line| line["summary"] == true).collect();
    assert_eq!(summaries.len(), 2);
    assert_eq!((&summaries[0]["topic"], &summaries[1]["topic"]), (&json!("/one"), &json!("/two")));
}

#[test]
fn a_silent_topic_is_reported_after_the_timeout() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let _publisher = publisher(&talker, "/silent");
    let waiting = ["hz", "bw", "delay"]
        .map(|verb| start_in(&folder, &["topic", verb, "--timeout", "1.1", "/silent"]));
    for program in waiting {
        let ended = end(program).with_code(1);
        assert_eq!(
            ended.lines.last().map(String::as_str),
            Some("/silent: no message"),
            "{ended:?}"
        );
        assert_eq!(ended.lines[0], "/silent  no message yet");
    }
}

#[test]
fn invalid_arguments_are_wrong_usage() {
    let folder = Folder::new();
    for arguments in [
        &["topic", "hz"][..],
        &["topic", "hz", "--all", "/t"],
        &["topic", "hz", "--window", "1", "/t"],
        &["topic", "echo", "--typed", "/t"],
        &["topic", "echo", "--once", "-n", "2", "/t"],
        &["topic", "list", "--timeout", "soon"],
        // Invalid addresses and names.
        &["--discovery", "udp://1", "topic", "list"],
        &["--discovery", "nowhere", "topic", "hz", "--all"],
        &["--discovery", &format!("ipc:///{}", "x".repeat(200)), "topic", "echo", "/t"],
        &["topic", "echo", ""],
        &["topic", "info", "a\nb"],
        &["topic", "hz", "a\x07"],
        &["topic", "pub", "", "IntMessage", "1"],
        // Formats that are not JSON.
        &["--json", "graph", "--dot"],
        &["graph", "--mermaid", "--json"],
        &["--json", "completions", "bash"],
        &["topic"],
        &["nonsense"],
        &[],
    ] {
        run_in(&folder, arguments).with_code(2);
    }
}
