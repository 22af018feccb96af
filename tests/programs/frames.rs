//! Program of tests/graph/kills.rs: sends or checks numbered messages with long arrays until it is killed.
//! Ends with its stdin.

use std::collections::VecDeque;
use std::io::{Read, Write};

use cortex_std::Transport;
use cortex_std::raw::{RawOptions, RawPublisher, RawSubscriber};
use cortex_tests::{DEADLINE, frames};

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [role, address] = &arguments[..] else { panic!("a role and an address") };
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    match role.as_str() {
        "publish" => publish(address),
        "subscribe" => subscribe(address),
        other => panic!("no role is called {other:?}"),
    }
}

fn say(line: &str) {
    // The reader may have ended.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn publish(address: &str) {
    let options = RawOptions::default().transport(Transport::Local).queue(4).block_for(DEADLINE);
    let publisher = RawPublisher::bind_with(address, &options).expect("it binds");
    say("ready");
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
    for number in 0.. {
        let frames = frames::frames(number);
        publisher.send(&frames.each_ref().map(|frame| &frame[..])).expect("it is sent");
    }
}

/// Checks each message when it comes, and again after ten more.
fn subscribe(address: &str) {
    let subscriber = RawSubscriber::with_queue(4).expect("a subscriber");
    let mut subscriber = subscriber.transport(Transport::Local);
    subscriber.subscribe(b"/frames").expect("it subscribes");
    subscriber.connect_also(address).expect("it connects");
    let mut kept = VecDeque::new();
    loop {
        let Some(message) = subscriber.recv_timeout(DEADLINE).expect("no error") else { continue };
        kept.push_back(message);
        let old = if kept.len() > 10 { kept.pop_front() } else { None };
        for message in old.iter().chain(kept.back()) {
            if let Err(error) = frames::check(message) {
                say(&format!("wrong: {error}"));
                std::process::exit(3);
            }
        }
        if let Some(Ok(number)) = kept.back().map(frames::check) {
            say(&format!("frame {number}"));
        }
    }
}
