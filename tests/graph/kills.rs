//! Processes that share memory and are killed at any moment, or stopped.
//!
//! `CORTEX_LEAKS=full` (ci/leaks.sh) kills a thousand; the seed of the moments is printed, and
//! `CORTEX_SEED` sets it.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use cortex_std::Transport;
use cortex_std::raw::{RawOptions, RawPublisher, RawSubscriber};
use cortex_tests::frames::{self, MAX_LEN};
use cortex_tests::graph::Folder;
use cortex_tests::{DEADLINE, Program, Signal, wait_until};

use crate::leaks::{Usage, times};
use crate::{is_alone, run_alone};

/// Moments after an event, from a seed.
struct Moments(u64);

impl Moments {
    fn new() -> Self {
        let seed = std::env::var("CORTEX_SEED").ok().and_then(|seed| seed.parse().ok());
        let now = || SystemTime::UNIX_EPOCH.elapsed().expect("a time").as_nanos() as u64;
        let seed = seed.unwrap_or_else(now);
        println!("CORTEX_SEED={seed}");
        Self(seed | 1)
    }

    /// Up to a few frames later.
    fn next(&mut self) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % 10_000)
    }
}

fn program(role: &str, address: &str) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_frames"));
    command.args([role, address]);
    Program::spawn(command)
}

fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("it is ours");
    maps.lines().filter(|line| line.contains("memfd:cortex")).count()
}

fn subscriber() -> RawSubscriber {
    let subscriber = RawSubscriber::with_queue(4).expect("a subscriber");
    let mut subscriber = subscriber.transport(Transport::Local);
    subscriber.subscribe(b"/frames").expect("it subscribes");
    subscriber
}

fn publisher(folder: &Folder) -> RawPublisher {
    let options = RawOptions::default().transport(Transport::Local).queue(4);
    RawPublisher::bind_with(&folder.address("frames"), &options).expect("it binds")
}

fn send(publisher: &RawPublisher, number: u64) {
    let frames = frames::frames(number);
    publisher.send(&frames.each_ref().map(|frame| &frame[..])).expect("it is sent");
}

/// The files by which other libraries share memory.
fn shared_files() -> Vec<std::ffi::OsString> {
    let Ok(folder) = std::fs::read_dir("/dev/shm") else { return Vec::new() };
    let names = folder.filter_map(|entry| Some(entry.ok()?.file_name()));
    names.filter(|name| name.to_string_lossy().contains("cortex")).collect()
}

#[test]
fn a_killed_publisher_leaves_whole_frames_and_nothing_else_in_its_subscriber() {
    if !is_alone() {
        return run_alone(
            "kills::a_killed_publisher_leaves_whole_frames_and_nothing_else_in_its_subscriber",
        );
    }
    let folder = Folder::new();
    let address = folder.address("frames");
    let mut subscriber = subscriber();
    let mut moments = Moments::new();
    let (mut frames, mut lent) = (0_u64, 0);
    let mut round = |_| {
        let mut program = program("publish", &address);
        program.expect_line("ready");
        subscriber.connect_also(&address).expect("it connects");
        let mut kept = VecDeque::new();
        let first = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
        kept.push_back(first);
        let moment = moments.next();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(moment);
            program.kill();
        });
        let mut is_killed = false;
        loop {
            let Some(message) = subscriber.recv_timeout(Duration::ZERO).expect("no error") else {
                // What the kernel still had of it has been read.
                if is_killed {
                    break;
                }
                is_killed = killer.is_finished();
                continue;
            };
            frames::check(&message).expect("whole");
            frames += 1;
            kept.push_back(message);
            if kept.len() > 5 {
                kept.pop_front();
            }
        }
        lent = lent.max(mappings());
        for message in &kept {
            frames::check(message).expect("still whole");
        }
        drop(kept);
        killer.join().expect("it is killed");
        subscriber.disconnect(&address).expect("it was connected");
        assert_eq!(mappings(), 0);
    };
    (0..10).for_each(&mut round);
    let before = Usage::now();
    (0..times(15, 500)).for_each(&mut round);
    before.expect_restored("killed publishers");
    println!("{frames} frames, up to {lent} mappings");
    assert!(lent > 0);
    assert_eq!(shared_files(), Vec::<std::ffi::OsString>::new());
}

#[test]
fn a_killed_subscriber_leaves_nothing_in_its_publisher_and_others_get_whole_frames() {
    if !is_alone() {
        return run_alone(
            "kills::a_killed_subscriber_leaves_nothing_in_its_publisher_and_others_get_whole_frames",
        );
    }
    let folder = Folder::new();
    let publisher = publisher(&folder);
    let address = publisher.address().to_owned();
    let is_over = AtomicBool::new(false);
    let mut witness = program("subscribe", &address);
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::Relaxed) {
                send(&publisher, number);
                number += 1;
            }
        });
        let mut moments = Moments::new();
        let mut round = |_| {
            let mut program = program("subscribe", &address);
            program.expect_line("frame");
            std::thread::sleep(moments.next());
            program.kill();
            assert_eq!(program.wait().signal(), Some(9), "{}", program.stdout());
            wait_until("it is gone", || publisher.subscriber_count() == 1);
        };
        (0..10).for_each(&mut round);
        let before = Usage::now();
        (0..times(15, 500)).for_each(&mut round);
        before.expect_restored("killed subscribers");
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(witness.is_running(), "{}", witness.stdout());
    witness.kill();
    wait_until("nothing is held", || publisher.stats().shared.held == 0);
    // What one pool keeps for the next frames.
    assert!(mappings() <= (64 << 20) / (64 << 10), "{} mappings", mappings());
    assert!(publisher.stats().shared.lent > 0);
    drop(publisher);
    wait_until("nothing is mapped", || mappings() == 0);
    assert_eq!(shared_files(), Vec::<std::ffi::OsString>::new());
}

#[test]
fn a_stopped_subscriber_neither_stalls_a_healthy_one_nor_grows_its_publisher() {
    if !is_alone() {
        return run_alone(
            "kills::a_stopped_subscriber_neither_stalls_a_healthy_one_nor_grows_its_publisher",
        );
    }
    const COUNT: u64 = 400;
    let folder = Folder::new();
    let publisher = publisher(&folder);
    let mut healthy = subscriber();
    healthy.connect_also(publisher.address()).expect("it connects");
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
    let mut stopped = program("subscribe", publisher.address());
    publisher.blocking_wait_for_subscribers(2, DEADLINE).expect("it subscribes");
    send(&publisher, 0);
    stopped.expect_line("frame 0");
    stopped.signal(Signal::STOP);
    let before = Usage::now();
    let message = healthy.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(frames::check(&message), Ok(0));
    drop(message);
    for number in 1..COUNT {
        send(&publisher, number);
        let message = healthy.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert_eq!(frames::check(&message), Ok(number));
    }
    let stats = publisher.stats();
    let find = |pid| stats.peers.iter().find(|peer| peer.pid == Some(pid)).expect("connected");
    let stuck = find(stopped.id());
    println!("{stuck:?} {:?}", stats.shared);
    assert!(stuck.lost.expect("known") > COUNT / 2, "{stuck:?}");
    assert!(stuck.waiting <= Some(5), "{stuck:?}");
    assert_eq!(find(std::process::id()).lost, Some(0));
    assert!(stats.shared.held <= 64 + 1, "{:?}", stats.shared);
    let grown = Usage::now().resident_kb.saturating_sub(before.resident_kb);
    // Both ends of the healthy one, what the stopped one holds, and its queue.
    let limit = (((2 * 64 + 2 * 5) * MAX_LEN as u64) >> 10) + (16 << 10);
    assert!(grown <= limit, "{grown} kB");
    stopped.signal(Signal::CONT);
    // Whole frames, up to the newest that it was sent.
    wait_until("it has read what it was sent", || {
        let stats = publisher.stats();
        stats.peers.iter().all(|peer| peer.waiting == Some(0)) && stats.shared.held <= 12
    });
    send(&publisher, COUNT);
    stopped.expect_line(&format!("frame {COUNT}"));
    assert!(stopped.is_running(), "{}", stopped.stdout());
}
