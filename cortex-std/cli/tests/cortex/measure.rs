//! `cortex topic hz`, `bw` and `delay`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cortex_std::raw::RawPublisher;
use cortex_std::wire::Header;
use cortex_std::{Node, Registration};
use cortex_tests::graph::{Folder, daemon, node};
use cortex_tests::wait_until;
use serde_json::{Value as Json, json};

use crate::{end, python_publisher, run_in, start_in};

fn publisher(node: &Node, topic: &str) -> RawPublisher {
    let publisher = node.raw_publisher(topic, "StringMessage", 1).expect("it binds");
    wait_until("it is registered", || publisher.registration() == Some(Registration::Registered));
    publisher
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_nanos()).expect("before 2554")
}

/// Sends a message each millisecond while `work` is done; of every ten numbers the last `missing` are
/// used up and not sent. The time in a header is `age` ago.
fn while_published<T>(
    publisher: &RawPublisher,
    topic: &str,
    missing: u64,
    age: Duration,
    work: impl FnOnce() -> T,
) -> T {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let age = u64::try_from(age.as_nanos()).expect("a short time");
            let mut sequence = 0;
            while !is_over.load(Ordering::Relaxed) {
                if sequence % 10 < 10 - missing {
                    let header = Header { fingerprint: 1, timestamp_ns: now_ns() - age, sequence };
                    let frames: [&[u8]; 3] = [topic.as_bytes(), &header.encode(), b"\x91\xa2hi"];
                    let _ = publisher.send(&frames).expect("it is sent");
                }
                sequence += 1;
                thread::sleep(Duration::from_millis(1));
            }
        });
        // Ends the thread where the work panics, too.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _over = Over(&is_over);
        work()
    })
}

fn number(json: &Json) -> f64 {
    json.as_f64().unwrap_or_else(|| panic!("{json} is no number"))
}

#[test]
fn a_topic_that_loses_every_tenth_message_is_told_to_lose_a_tenth() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let lossy = node(&folder, "lossy");
    let publisher = publisher(&lossy, "/lossy");
    let ended = while_published(&publisher, "/lossy", 1, Duration::ZERO, || {
        run_in(&folder, &["topic", "hz", "--json", "--duration", "2.5", "/lossy"])
    });
    // Something was lost.
    let lines = ended.with_code(1).json();
    let summary = lines.last().expect("a summary");
    assert_eq!((&summary["summary"], &summary["topic"]), (&json!(true), &json!("/lossy")));
    let loss = number(&summary["loss"]);
    assert!((loss - 0.1).abs() < 0.01, "{summary}");
    assert_eq!(summary["restarts"], 0);
    assert!(lines.len() >= 2 && lines[0]["summary"] == false, "{lines:?}");
}

#[test]
fn nothing_lost_is_told_in_text_line_by_line() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let _publisher = python_publisher(&folder, "clock", "/tick", "int_1");
    let ended = run_in(&folder, &["topic", "hz", "--duration", "2.2", "/tick"]).with_code(0);
    let summary = ended.lines.last().expect("a summary");
    assert!(ended.lines[0].starts_with("/tick  rate "), "{ended:?}");
    assert!(ended.lines[0].contains("  lost 0.00 %  min "), "{ended:?}");
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
        run_in(&folder, &["topic", "bw", "--json", "-d", "1.5", "/bytes"]).json()
    });
    let summary = lines.last().expect("a summary");
    // Topic, header and metadata.
    let len = 6.0 + 24.0 + 4.0;
    for size in ["smallest_bytes", "mean_bytes", "largest_bytes"] {
        assert_eq!(number(&summary[size]), len, "{summary}");
    }
    assert_eq!(number(&summary["bytes"]), number(&summary["received"]) * len);
    let text = while_published(&publisher, "/bytes", 0, Duration::ZERO, || {
        run_in(&folder, &["topic", "bw", "-d", "1.2", "/bytes"]).text()
    });
    assert!(text.contains("  mean 34 B  smallest 34 B  largest 34 B"), "{text}");
}

#[test]
fn delay_is_the_age_of_messages() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let publisher = publisher(&talker, "/old");
    let age = Duration::from_secs(100);
    let lines = while_published(&publisher, "/old", 0, age, || {
        run_in(&folder, &["topic", "delay", "--json", "-d", "1.2", "/old"]).json()
    });
    let summary = lines.last().expect("a summary");
    let delay = &summary["delay"];
    let parts = ["min_s", "p50_s", "p90_s", "p99_s", "max_s"].map(|part| number(&delay[part]));
    assert!(parts.is_sorted() && parts[0] > 99.8 && parts[1] < 150.0, "{summary}");
    let text = while_published(&publisher, "/old", 0, age, || {
        run_in(&folder, &["topic", "delay", "-d", "1.2", "/old"]).text()
    });
    assert!(text.contains("/old  p50 100") && text.contains("delay p50 100"), "{text}");
}

#[test]
fn all_topics_are_watched_and_those_that_come_later() {
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
fn a_silent_topic_is_told_and_not_waited_for_longer_than_asked() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let _publisher = publisher(&talker, "/silent");
    for verb in ["hz", "bw", "delay"] {
        let ended = run_in(&folder, &["topic", verb, "--timeout", "1.1", "/silent"]).with_code(1);
        assert_eq!(
            ended.lines.last().map(String::as_str),
            Some("/silent: no message"),
            "{ended:?}"
        );
        assert_eq!(ended.lines[0], "/silent  no message yet");
    }
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    let folder = Folder::new();
    for arguments in [
        &["topic", "hz"][..],
        &["topic", "hz", "--all", "/t"],
        &["topic", "hz", "--window", "1", "/t"],
        &["topic", "echo", "--typed", "/t"],
        &["topic", "echo", "--once", "-n", "2", "/t"],
        &["topic", "list", "--timeout", "soon"],
        &["topic"],
        &["nonsense"],
        &[],
    ] {
        run_in(&folder, arguments).with_code(2);
    }
}
