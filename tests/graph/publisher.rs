//! Promises of a publisher to slow, dead, late and remote subscribers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cortex_std::wire::{ArrayMessage, ArrayView, StringMessage};
use cortex_std::{CreateError, Published, Publisher, Subscriber, Transport, WaitError};
use cortex_tests::graph::{Folder, connect, daemon, guest, node};
use cortex_tests::{DEADLINE, python, wait_until};

use crate::{is_alone, run_alone};

fn text(data: &str) -> StringMessage<'_> {
    StringMessage { data }
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("linux");
    let pages: u64 = statm.split(' ').nth(1).expect("a field").parse().expect("a number");
    pages * 4096
}

const COUNT: u64 = 10_000;

/// How far the publisher is ahead of the healthy subscriber at most: half of a queue.
const AHEAD: u64 = 500;

/// Publishes `COUNT` arrays of 4 KiB as fast as the healthy subscriber reads them; returns how many
/// were congested.
fn publish_all(publisher: &Publisher<ArrayMessage<'static>>, read: &AtomicU64) -> u64 {
    let data = [7_u8; 4096];
    let message = ArrayMessage {
        data: ArrayView::from_slice(&data, &[4096]).expect("it fits"),
        name: "",
        frame_id: "",
    };
    let mut congested = 0;
    for number in 0..COUNT {
        wait_until("the healthy one reads on", || number < read.load(Ordering::SeqCst) + AHEAD);
        let published = publisher.publish(&message).expect("it is published");
        congested += u64::from(published == Published::Congested);
    }
    congested
}

type Reader = std::thread::JoinHandle<Subscriber<ArrayMessage<'static>>>;

/// Receives `COUNT` messages on a dedicated thread; returns it and the count so far.
fn read_all(mut subscriber: Subscriber<ArrayMessage<'static>>) -> (Reader, Arc<AtomicU64>) {
    let read = Arc::<AtomicU64>::default();
    let counter = Arc::clone(&read);
    let reader = std::thread::spawn(move || {
        for _ in 0..COUNT {
            let sample = subscriber.recv_timeout(DEADLINE).expect("no error");
            assert!(sample.is_some(), "{:?}", subscriber.stats());
            counter.fetch_add(1, Ordering::SeqCst);
        }
        subscriber
    });
    (reader, read)
}

#[test]
fn a_stuck_subscriber_costs_a_healthy_one_nothing_and_counts_what_it_lost() {
    // It measures the memory of the process.
    if !is_alone() {
        return run_alone(
            "publisher::a_stuck_subscriber_costs_a_healthy_one_nothing_and_counts_what_it_lost",
        );
    }
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let listener = node(&folder, "listener");
    let arrays = talker.publisher::<ArrayMessage>("/t").queue(1000).create().expect("it binds");
    let mut healthy =
        listener.subscriber::<ArrayMessage>("/t").queue(1000).create().expect("a subscriber");
    connect(&mut healthy, &arrays, 1);

    // Alone, the healthy one receives everything at this rate.
    let (reader, read) = read_all(healthy);
    assert_eq!(publish_all(&arrays, &read), 0);
    let healthy = reader.join().expect("it receives all");
    assert_eq!(healthy.stats().lost, 0);

    // And so it does beside one that does not read.
    let mut stuck =
        listener.subscriber::<ArrayMessage>("/t").queue(10).create().expect("a subscriber");
    connect(&mut stuck, &arrays, 2);
    let before = resident_bytes();
    let (reader, read) = read_all(healthy);
    let congested = publish_all(&arrays, &read);
    let healthy = reader.join().expect("it receives all");
    assert_eq!((healthy.stats().received, healthy.stats().lost), (2 * COUNT, 0));
    assert!(congested > 0, "the publisher did not notice");
    assert_eq!(arrays.stats().congested, congested);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} more bytes are in use");

    // Once it reads again, it knows exactly what it lost.
    let data = [0_u8; 1];
    let message = ArrayMessage {
        data: ArrayView::from_slice(&data, &[1]).expect("it fits"),
        name: "last",
        frame_id: "",
    };
    wait_until("the last message comes after the gap", || {
        arrays.publish(&message).expect("it is published");
        let mut last = None;
        while let Some(sample) = stuck.recv_timeout(Duration::from_millis(20)).expect("no error") {
            last = Some(sample.header().sequence);
        }
        last == Some(arrays.stats().published - 1)
    });
    let stats = stuck.stats();
    assert!(stats.lost > 0);
    // It was there from the second ten thousand on.
    assert_eq!(stats.received + stats.lost, arrays.stats().published - COUNT);
}

#[test]
fn a_publisher_that_may_block_waits_for_room_and_loses_nothing() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let node = node(&folder, "both");
    let notes = node
        .publisher::<ArrayMessage>("/t")
        .queue(1)
        .block_for(DEADLINE)
        .create()
        .expect("it binds");
    let mut seen = node.subscriber::<ArrayMessage>("/t").queue(1).create().expect("a subscriber");
    connect(&mut seen, &notes, 1);
    let publisher = std::thread::spawn(move || {
        let data = vec![0_u8; 100_000];
        let message = ArrayMessage {
            data: ArrayView::from_slice(&data, &[100_000]).expect("it fits"),
            name: "",
            frame_id: "",
        };
        for _ in 0..200 {
            assert_eq!(notes.publish(&message).expect("it is sent"), Published::Sent);
        }
        notes
    });
    for expected in 0..200 {
        let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert_eq!(sample.header().sequence, expected);
    }
    assert_eq!(publisher.join().expect("it publishes").stats().congested, 0);
}

#[test]
fn a_publisher_that_waited_in_vain_sends_to_the_others() {
    const BLOCK: Duration = Duration::from_millis(5);
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let node = node(&folder, "both");
    let arrays =
        node.publisher::<ArrayMessage>("/t").queue(1).block_for(BLOCK).create().expect("it binds");
    let mut stuck = node.subscriber::<ArrayMessage>("/t").queue(1).create().expect("a subscriber");
    connect(&mut stuck, &arrays, 1);
    let data = vec![0_u8; 1 << 20];
    let message = ArrayMessage {
        data: ArrayView::from_slice(&data, &[1 << 20]).expect("it fits"),
        name: "",
        frame_id: "",
    };
    wait_until("the queue is full", || {
        let start = std::time::Instant::now();
        let published = arrays.publish(&message).expect("it is published");
        // Never lossy before the deadline.
        assert!(published == Published::Sent || start.elapsed() >= BLOCK);
        published == Published::Congested
    });
}

#[test]
fn a_publisher_that_waits_for_room_ends_at_once_with_its_node() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let arrays = talker
        .publisher::<ArrayMessage>("/t")
        .queue(1)
        .block_for(Duration::MAX)
        .create()
        .expect("it binds");
    let listener = node(&folder, "listener");
    let mut stuck =
        listener.subscriber::<ArrayMessage>("/t").queue(1).create().expect("a subscriber");
    connect(&mut stuck, &arrays, 1);
    let begun = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&begun);
    let publisher = std::thread::spawn(move || {
        let data = vec![0_u8; 1 << 20];
        let data = ArrayView::from_slice(&data, &[1 << 20]).expect("it fits");
        let message = ArrayMessage { data, name: "", frame_id: "" };
        // Ends when the node does, and not before: the reader never reads.
        while arrays.publish(&message).is_ok() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    wait_until("the queue fills up", || begun.load(Ordering::Relaxed) >= 2);
    talker.handle().shutdown();
    publisher.join().expect("it ends");
}

#[test]
fn late_subscribers_get_the_last_message_of_a_latched_topic_once() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let map = talker.publisher::<StringMessage>("/map").latched().create().expect("it binds");
    assert_eq!(map.publish(&text("old")).expect("kept"), Published::NoSubscribers);
    assert_eq!(map.publish(&text("the map")).expect("kept"), Published::NoSubscribers);

    let listener = node(&folder, "listener");
    let mut first = listener.subscriber::<StringMessage>("/map").create().expect("a subscriber");
    let sample = first.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!((sample.message(), sample.header().sequence), (Ok(text("the map")), 1));

    // Eight Python subscribers come at the same time, and each gets it.
    let discovery = folder.discovery();
    let arguments = [
        ["--discovery", &discovery],
        ["--topic", "/map"],
        ["--message", "StringMessage"],
        ["--count", "1"],
    ];
    let peers: Vec<_> =
        (0..8).map(|_| python::peer("subscriber.py", arguments.into_iter().flatten())).collect();
    for mut peer in peers {
        let message = peer.expect_event("message");
        assert_eq!(message["sequence"], 1);
        assert_eq!(message["fields"][0]["value"]["str"], "the map");
        peer.expect_event("done");
    }
    let mut second = listener.subscriber::<StringMessage>("/map").create().expect("a subscriber");
    let sample = second.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(sample.message(), Ok(text("the map")));

    // Over libzmq earlier subscribers received further copies and counted them as repeated only.
    map.publish(&text("a new map")).expect("it is published");
    for seen in [&mut first, &mut second] {
        let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert_eq!(sample.message(), Ok(text("a new map")));
        let stats = seen.stats();
        assert_eq!((stats.received, stats.lost, stats.restarted), (2, 0, 0));
    }
    let repeated = first.stats().repeated;
    match map.transport() {
        Transport::Local => assert_eq!(repeated, 0),
        _ => assert!(repeated >= 1),
    }
}

#[test]
fn a_latched_publisher_ends_with_its_node_and_leaves_no_file() {
    let folder = Folder::new();
    let talker = guest(&folder, "talker");
    let map = talker.publisher::<StringMessage>("/map").latched().create().expect("it binds");
    map.publish(&text("kept")).expect("kept");
    drop(talker);
    drop(map);
    assert_eq!(folder.files(), Vec::<std::path::PathBuf>::new());
    // And with its last clone, while the node goes on.
    let talker = guest(&folder, "talker");
    let map = talker.publisher::<StringMessage>("/map").latched().create().expect("it binds");
    drop(map);
    wait_until("the file is gone", || folder.files().is_empty());
    drop(talker);
}

#[test]
fn subscribers_of_rust_and_python_come_over_tcp() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let notes = talker
        .publisher::<StringMessage>("/t")
        .bind("tcp://127.0.0.1:*")
        .create()
        .expect("it binds");
    assert!(notes.address().starts_with("tcp://127.0.0.1:"), "{}", notes.address());
    let listener = node(&folder, "listener");
    let mut seen = listener.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    let discovery = folder.discovery();
    let arguments = [
        ["--discovery", &discovery],
        ["--topic", "/t"],
        ["--message", "StringMessage"],
        ["--count", "1"],
    ];
    let mut peer = python::peer("subscriber.py", arguments.into_iter().flatten());
    connect(&mut seen, &notes, 2);
    assert_eq!(notes.publish(&text("far")).expect("it is published"), Published::Sent);
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(sample.message(), Ok(text("far")));
    assert_eq!(peer.expect_event("message")["fields"][0]["value"]["str"], "far");
}

#[test]
fn a_publisher_on_all_interfaces_needs_an_advertised_host() {
    let folder = Folder::new();
    let talker = node(&folder, "talker");
    let on_all = || talker.publisher::<StringMessage>("/t").bind("tcp://0.0.0.0:*");
    let error = on_all().create().expect_err("0.0.0.0 is no address to connect to");
    assert!(matches!(error, CreateError::Advertise { .. }), "{error}");
    let notes = on_all().advertise("localhost").create().expect("it binds");
    assert!(notes.address().starts_with("tcp://localhost:"), "{}", notes.address());
    // inproc cannot be reached from other processes.
    let inproc = talker.publisher::<StringMessage>("/u").bind("inproc://t").create();
    assert!(inproc.is_err());
}

#[test]
fn publish_reports_no_subscribers_or_that_every_queue_took_the_message() {
    let folder = Folder::new();
    let node = node(&folder, "both");
    let notes = node.publisher::<StringMessage>("/t").create().expect("it binds");
    assert_eq!(notes.publish(&text("early")).expect("published"), Published::NoSubscribers);
    let mut seen = node.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    connect(&mut seen, &notes, 1);
    assert_eq!(notes.publish(&text("received")).expect("published"), Published::Sent);
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    // The message without a subscriber consumed a sequence number.
    assert_eq!((sample.message(), sample.header().sequence), (Ok(text("received")), 1));
    drop(seen);
    wait_until("it has left", || notes.subscriber_count() == 0);
    assert_eq!(notes.publish(&text("late")).expect("published"), Published::NoSubscribers);
}

#[test]
fn waiting_for_subscribers_ends_when_they_are_there_or_when_the_time_is_up() {
    let folder = Folder::new();
    let node = node(&folder, "both");
    let notes = node.publisher::<StringMessage>("/t").create().expect("it binds");
    notes.blocking_wait_for_subscribers(0, Duration::ZERO).expect("they subscribe");
    assert_eq!(
        notes.blocking_wait_for_subscribers(1, Duration::from_millis(10)),
        Err(WaitError::TimedOut)
    );
    let follow = || {
        let subscriber = node.subscriber::<StringMessage>("/t");
        subscriber.on_thread(|_, _| ()).expect("a subscriber")
    };
    let first = follow();
    notes.blocking_wait_for_subscribers(1, DEADLINE).expect("they subscribe");
    assert_eq!(
        notes.blocking_wait_for_subscribers(2, Duration::from_millis(10)),
        Err(WaitError::TimedOut)
    );
    let second = follow();
    notes.blocking_wait_for_subscribers(2, DEADLINE).expect("they subscribe");
    drop((first, second));
    wait_until("both have left", || notes.subscriber_count() == 0);
    node.handle().shutdown();
    assert_eq!(notes.blocking_wait_for_subscribers(1, Duration::MAX), Err(WaitError::Closed));
}

#[tokio::test]
async fn several_tasks_may_wait_for_the_subscribers_of_one_publisher() {
    let folder = Folder::new();
    let node = node(&folder, "both");
    let notes = node.publisher::<StringMessage>("/t").create().expect("it binds");
    let late = notes.wait_for_subscribers(1, Duration::from_millis(10)).await;
    assert_eq!(late, Err(WaitError::TimedOut));
    let subscribe = async {
        // The others wait by now.
        tokio::task::yield_now().await;
        let subscriber = node.subscriber::<StringMessage>("/t");
        subscriber.on_thread(|_, _| ()).expect("a subscriber")
    };
    let wait = || notes.wait_for_subscribers(1, DEADLINE);
    let (first, second, subscriber) = tokio::join!(wait(), wait(), subscribe);
    assert_eq!((first, second), (Ok(()), Ok(())));
    drop(subscriber);
    wait_until("it has left", || notes.subscriber_count() == 0);
    let end = async { node.handle().shutdown() };
    assert_eq!(tokio::join!(wait(), end).0, Err(WaitError::Closed));
}

#[test]
fn each_publisher_numbers_its_own_messages_from_zero() {
    let folder = Folder::new();
    let node = node(&folder, "both");
    let publishers = ["/a", "/b"].map(|topic| {
        let publisher = node.publisher::<StringMessage>(topic).create().expect("it binds");
        let mut seen = node.subscriber::<StringMessage>(topic).create().expect("a subscriber");
        connect(&mut seen, &publisher, 1);
        (publisher, seen)
    });
    for number in 0..3 {
        for (publisher, _) in &publishers {
            assert_eq!(publisher.publish(&text("x")).expect("published"), Published::Sent);
        }
        assert!(publishers.iter().all(|(publisher, _)| publisher.stats().published == number + 1));
    }
    for (_, mut seen) in publishers {
        for number in 0..3 {
            let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
            assert_eq!(sample.header().sequence, number);
        }
    }
}

#[test]
fn published_data_may_change_at_once_and_an_owner_is_kept_until_it_was_sent() {
    let folder = Folder::new();
    let node = node(&folder, "both");
    let arrays = node.publisher::<ArrayMessage>("/t").create().expect("it binds");
    let mut seen = node.subscriber::<ArrayMessage>("/t").create().expect("a subscriber");
    connect(&mut seen, &arrays, 1);
    let shape = [1 << 20];
    let message = |data| ArrayMessage { data, name: "", frame_id: "" };

    let mut data = vec![1_u8; 1 << 20];
    let view = ArrayView::from_slice(&data, &shape).expect("it fits");
    assert_eq!(arrays.publish(&message(view)).expect("published"), Published::Sent);
    // It was copied: a message that is not sent yet does not change.
    data.fill(2);
    let owner = Arc::new(data);
    let sent = arrays.publish_from(Arc::clone(&owner), |owner| ArrayMessage {
        data: ArrayView::from_slice(owner, &[1 << 20]).expect("it fits"),
        name: "",
        frame_id: "",
    });
    assert_eq!(sent.expect("published"), Published::Sent);
    for value in [1, 2] {
        let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
        let array = sample.message().expect("it decodes").data;
        assert!(array.data().iter().all(|&byte| byte == value));
    }
    wait_until("the owner is given back", || {
        arrays.subscriber_count() == 1 && Arc::strong_count(&owner) == 1
    });
}
