//! What the local transport holds while peers come, stay, stop reading and go, and that it gives it back.
//!
//! Each test runs in a process of its own, whose descriptors, threads and memory it counts. `CORTEX_LEAKS=full`
//! (ci/leaks.sh) makes them long.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use cortex_std::raw::{RawOptions, RawPublisher, RawSubscriber};
use cortex_std::wire::{BytesMessage, StringMessage};
use cortex_std::{Node, Published, Transport};
use cortex_tests::graph::{Folder, connect, daemon, registered};
use cortex_tests::{DEADLINE, wait_until};

use crate::{is_alone, run_alone};

/// Kilobytes by which the resident memory of a process may differ without a leak: its heaps, its stacks.
const NOISE_KB: u64 = 8 << 10;

/// What this process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) descriptors: usize,
    threads: usize,
    pub(crate) resident_kb: u64,
}

impl Usage {
    pub(crate) fn now() -> Self {
        let count = |path: &str| std::fs::read_dir(path).expect("it is ours").count();
        let status = std::fs::read_to_string("/proc/self/status").expect("it is ours");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.trim().strip_suffix(" kB")).expect("a size");
        Self {
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            resident_kb: resident.trim().parse().expect("a number"),
        }
    }

    /// Waits until descriptors and threads are what they were, and checks the memory.
    pub(crate) fn expect_restored(self, what: &str) {
        wait_until(&format!("{what}: {self:?} is restored"), || {
            let now = Self::now();
            now.descriptors <= self.descriptors && now.threads <= self.threads
        });
        let now = Self::now();
        println!("{what}: {self:?} -> {now:?}");
        assert!(now.resident_kb <= self.resident_kb + NOISE_KB, "{what}: {self:?} -> {now:?}");
    }
}

/// How often: a few times, or as often as ci/leaks.sh asks.
pub(crate) fn times(short: usize, full: usize) -> usize {
    if std::env::var_os("CORTEX_LEAKS").is_some() { full } else { short }
}

fn publisher(folder: &Folder) -> RawPublisher {
    let options = RawOptions::default().transport(Transport::Local);
    RawPublisher::bind_with(&folder.address("leaks"), &options).expect("it binds")
}

/// A subscriber that is only a socket, subscribed to everything.
fn peer(address: &str) -> UnixStream {
    let path = address.strip_prefix("ipc://").expect("an ipc address");
    let mut stream = UnixStream::connect(path).expect("it listens");
    let mut bytes = vec![0; 64];
    bytes[..16].copy_from_slice(b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x01NULL");
    bytes.extend_from_slice(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB\x04\x0a\x09SUBSCRIBE");
    stream.write_all(&bytes).expect("it accepts");
    stream
}

#[test]
fn idle_subscribers_cost_a_descriptor_each_and_nothing_when_they_are_gone() {
    if !is_alone() {
        return run_alone(
            "leaks::idle_subscribers_cost_a_descriptor_each_and_nothing_when_they_are_gone",
        );
    }
    let count = times(200, 1000);
    let folder = Folder::new();
    // A node raises the limit of descriptors.
    let _node = Node::builder("idle").discovery("inproc://idle").create().expect("a node");
    let publisher = publisher(&folder);
    let first = peer(publisher.address());
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
    drop(first);
    wait_until("it is gone", || publisher.subscriber_count() == 0);
    let before = Usage::now();
    for _ in 0..2 {
        let mut peers: Vec<_> = (0..count).map(|_| peer(publisher.address())).collect();
        publisher.blocking_wait_for_subscribers(count, DEADLINE).expect("they subscribe");
        let now = Usage::now();
        // Both ends are in this process.
        assert_eq!(now.descriptors, before.descriptors + 2 * count);
        assert_eq!(now.threads, before.threads);
        let each = (now.resident_kb.saturating_sub(before.resident_kb)) / count as u64;
        println!("{count} idle subscribers: {each} kB each");
        assert!(each < 16, "{each} kB each");
        assert_eq!(publisher.send(&[b"/t", b"x"]).expect("it is sent"), Published::Sent);
        for peer in &mut peers {
            let mut bytes = [0; 4096];
            let mut received = Vec::new();
            while !received.ends_with(b"\x01\x02/t\x00\x01x") {
                let count = peer.read(&mut bytes).expect("it is connected");
                received.extend_from_slice(&bytes[..count]);
            }
        }
        drop(peers);
        wait_until("all are gone", || publisher.subscriber_count() == 0);
    }
    before.expect_restored("idle subscribers");
}

#[test]
fn reconnections_leave_nothing() {
    if !is_alone() {
        return run_alone("leaks::reconnections_leave_nothing");
    }
    let folder = Folder::new();
    let publisher = publisher(&folder);
    let mut subscriber = RawSubscriber::with_queue(10).expect("a subscriber");
    subscriber = subscriber.transport(Transport::Local);
    subscriber.subscribe(b"/t").expect("it subscribes");
    let mut round = |number: usize| {
        subscriber.connect_also(publisher.address()).expect("it connects");
        publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
        // Some leave with messages unread.
        publisher.send(&[b"/t", b"x"]).expect("it is sent");
        if number.is_multiple_of(2) {
            assert!(subscriber.recv_timeout(DEADLINE).expect("no error").is_some());
        }
        subscriber.disconnect(publisher.address()).expect("it was connected");
        while publisher.subscriber_count() > 0 {
            std::thread::yield_now();
        }
    };
    (0..200).for_each(&mut round);
    let before = Usage::now();
    (0..times(500, 100_000)).for_each(&mut round);
    before.expect_restored("reconnections");
    assert!(publisher.stats().peers.is_empty());
}

#[test]
fn nodes_with_publishers_and_subscribers_leave_nothing() {
    if !is_alone() {
        return run_alone("leaks::nodes_with_publishers_and_subscribers_leave_nothing");
    }
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let cycle = |_| {
        let node = Node::builder("cycle").discovery(&folder.discovery());
        let node = node.transport(Transport::Local).create().expect("a node");
        let notes = registered(&node);
        let mut seen = node.subscriber::<StringMessage>("/t").create().expect("a subscriber");
        connect(&mut seen, &notes, 1);
        notes.publish(&StringMessage { data: "x" }).expect("it is published");
        assert!(seen.recv_timeout(DEADLINE).expect("no error").is_some());
    };
    (0..10).for_each(cycle);
    let before = Usage::now();
    (0..times(20, 1000)).for_each(cycle);
    before.expect_restored("nodes");
}

#[test]
fn a_subscriber_that_stops_reading_costs_its_queue_and_its_memory_is_given_back() {
    const LEN: usize = 1 << 20;
    if !is_alone() {
        return run_alone(
            "leaks::a_subscriber_that_stops_reading_costs_its_queue_and_its_memory_is_given_back",
        );
    }
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let node = Node::builder("talker").discovery(&folder.discovery());
    let node = node.transport(Transport::Local).create().expect("a node");
    let body = vec![1; LEN];
    // By the number of messages, and by their bytes.
    for (topic, queue, queue_bytes, limit) in
        [("/messages", 20, 0, 20), ("/bytes", 1000, 30 * LEN, 30)]
    {
        let blobs = node.publisher::<BytesMessage>(topic).queue(queue).queue_bytes(queue_bytes);
        let blobs = blobs.create().expect("it binds");
        blobs.publish(&BytesMessage { data: &body }).expect("it is published");
        let before = Usage::now();
        let stuck = peer(blobs.address());
        blobs.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
        for _ in 0..5 * limit {
            blobs.publish(&BytesMessage { data: &body }).expect("it is published");
        }
        let [peer] = &blobs.stats().peers[..] else { panic!("one subscriber") };
        // The one that is being written comes on top.
        assert!(peer.waiting <= Some(limit + 1), "{peer:?}");
        assert!(peer.waiting_bytes <= Some(((limit + 1) * (LEN + 1000)) as u64), "{peer:?}");
        assert!(peer.lost >= Some((4 * limit - 3) as u64), "{peer:?}");
        let held = Usage::now().resident_kb.saturating_sub(before.resident_kb);
        println!("a queue of {limit} MiB holds {held} kB");
        assert!(held <= ((limit + 2) << 10) as u64 + NOISE_KB, "{held} kB");
        drop(stuck);
        wait_until("the memory is given back", || {
            Usage::now().resident_kb <= before.resident_kb + NOISE_KB
        });
    }
}
