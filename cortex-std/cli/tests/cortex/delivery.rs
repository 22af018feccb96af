//! What `cortex topic pub` does for subscribers that read slowly or not at all, and what a command does
//! whose own output is not read.

use std::process::{Command, Stdio};

use cortex_std::discovery::Client;
use cortex_std::raw::RawSubscriber;
use cortex_tests::graph::{Folder, daemon};
use cortex_tests::{DEADLINE, wait_until};
use rustix::process::{Pid, Signal, kill_process};

use crate::{end, start, start_in};

/// A subscriber to `/t` of `pub` that keeps few messages, once `pub` is registered.
fn reader(folder: &Folder) -> RawSubscriber {
    let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
    let found = client.wait_for_topic("/t", DEADLINE).expect("no error").expect("it registers");
    let mut reader = RawSubscriber::with_queue(1).expect("a subscriber");
    reader.connect_also(&found.topic.address).expect("it connects");
    reader.subscribe(b"/t").expect("it subscribes");
    reader
}

/// The value of `pub` for messages of a megabyte each, in a file.
fn burst(folder: &Folder) -> String {
    value(folder, 1_000_000)
}

fn value(folder: &Folder, len: usize) -> String {
    let file = folder.path().join("value.json");
    let text = serde_json::json!({ "data": "x".repeat(len) }).to_string();
    std::fs::write(&file, text).expect("a file");
    format!("@{}", file.display())
}

#[test]
fn a_burst_is_sent_before_the_command_ends() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let value = burst(&folder);
    let arguments =
        ["topic", "pub", "--rate", "10000", "--times", "50", "/t", "StringMessage", &value];
    let publisher = start_in(&folder, &arguments);
    let mut reader = reader(&folder);
    for number in 0..50 {
        let message = reader.recv_timeout(DEADLINE).expect("no error");
        assert!(message.is_some(), "message {number}");
    }
    assert_eq!(end(publisher).with_code(0).lines.len(), 50);
}

#[test]
fn messages_that_are_not_sent_in_time_are_counted_and_end_with_code_1() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let value = burst(&folder);
    let arguments = ["--times", "8", "--rate", "100", "--linger", "0.3", "/t", "StringMessage"];
    let publisher = start_in(&folder, &[&["topic", "pub"], &arguments[..], &[&value]].concat());
    // It reads nothing.
    let _reader = reader(&folder);
    let ended = end(publisher).with_code(1);
    assert!(
        ended.stderr.contains(" messages were not sent in time and are lost: "),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_stream_for_a_suspended_reader_keeps_the_memory_within_the_limit() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let value = burst(&folder);
    let arguments = ["topic", "pub", "--rate", "1000", "/t", "StringMessage", &value];
    let mut publisher = start_in(&folder, &arguments);
    let id = publisher.id();
    let reader = reader(&folder);
    // 400 MB for a reader that takes none of it.
    wait_until("messages are lost", || publisher.stdout().lines().count() > 400);
    let full = resident(id);
    assert!(full < 150, "{full} MiB");
    drop(reader);
    publisher.interrupt();
    let _ = end(publisher);
}

#[test]
fn a_reader_that_takes_nothing_is_waited_for_once_and_not_for_each_message() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let value = burst(&folder);
    // A wait for each message would take 200 times a second.
    let arguments = ["--times", "200", "--rate", "1000", "--linger", "1", "/t", "StringMessage"];
    let publisher = start_in(&folder, &[&["topic", "pub"], &arguments[..], &[&value]].concat());
    let _reader = reader(&folder);
    let ended = end(publisher).with_code(1);
    let congested = ended.lines.iter().filter(|line| line.ends_with("congested")).count();
    assert!(congested > 100, "{congested}");
    let expected = format!("{congested} messages were not delivered to a slow subscriber");
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
}

#[test]
fn a_signal_ends_a_command_whose_output_is_not_read() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let value = burst(&folder);
    let mut publisher = start_in(
        &folder,
        &["topic", "pub", "-w", "0", "--rate", "100", "/t", "StringMessage", &value],
    );
    let mut command = Command::new(env!("CARGO_BIN_EXE_cortex"));
    command.args(["topic", "echo", "--timeout", "60", "--raw", "/t"]);
    command.env("CORTEX_DISCOVERY", folder.discovery()).stdout(Stdio::piped());
    let mut echo = command.spawn().expect("it starts");
    let output = echo.stdout.take().expect("a pipe");
    wait_until("the pipe is full", || {
        rustix::io::ioctl_fionread(&output).is_ok_and(|len| len >= 1 << 16)
    });
    kill_process(Pid::from_child(&echo), Signal::TERM).expect("it runs");
    let mut status = None;
    wait_until("it ends", || {
        status = echo.try_wait().expect("a child");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(143));
    publisher.interrupt();
    let _ = end(publisher);
}

/// The resident memory of a process in MiB.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes") >> 10
}

#[test]
fn the_memory_of_a_long_queue_is_given_back_on_both_transports() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let value = value(&folder, 10_000_000);
    for transport in ["local", "zmq"] {
        let arguments = ["topic", "pub", "--rate", "50", "/t", "StringMessage", &value];
        let variables =
            [("CORTEX_DISCOVERY", &*folder.discovery()), ("CORTEX_TRANSPORT", transport)];
        let mut publisher = start(&arguments, &variables);
        let reader = reader(&folder);
        wait_until("the queue is full", || publisher.stdout().contains("congested"));
        let full = resident(publisher.id());
        assert!((90..200).contains(&full), "{transport}: {full} MiB");
        drop(reader);
        wait_until("the memory is given back", || resident(publisher.id()) < full - 50);
        publisher.interrupt();
        let _ = end(publisher);
    }
}
