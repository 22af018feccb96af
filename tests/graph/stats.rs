//! Statistics of publishers, subscribers, timers and nodes.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant, SystemTime};

use cortex_std::wire::{ArrayMessage, ArrayView, StringMessage, TimestampMessage};
use cortex_std::{
    Header, Latency, Loss, LossKind, Node, Published, ThreadOptions, Tick, WaitError,
};
use cortex_tests::graph::{Folder, connect, node};
use cortex_tests::{DEADLINE, wait_until};

use crate::{is_alone, run_alone_with};

const NOTE: StringMessage<'static> = StringMessage { data: "note" };

#[test]
fn the_last_samples_of_each_stage_are_kept_and_their_times_are_in_nanoseconds() {
    const BUSY: Duration = Duration::from_millis(3);
    let folder = Folder::new();
    let node = node(&folder, "both");
    let notes = node.publisher::<StringMessage>("/t").queue(0).create().expect("it binds");
    let (sender, receiver) = channel();
    let seen = node
        .subscriber::<StringMessage>("/t")
        .queue(0)
        .trace_latency(4)
        .on_thread(move |_, header| {
            std::thread::sleep(BUSY);
            sender.send(header.sequence)
        })
        .expect("a subscriber");
    wait_until("it is connected", || notes.subscriber_count() == 1);
    let start = Instant::now();
    for _ in 0..10 {
        assert_eq!(notes.publish(&NOTE).expect("it is published"), Published::Sent);
    }
    for number in 0..10 {
        assert_eq!(receiver.recv_timeout(DEADLINE), Ok(number));
    }
    wait_until("the last callback has returned", || {
        seen.stats().latency.callback.first().is_some_and(|&time| time >= BUSY)
    });
    let took = start.elapsed();
    let Latency { receive, decode, callback, .. } = seen.stats().latency;
    assert_eq!((receive.len(), decode.len(), callback.len()), (4, 4, 4));
    assert!(callback.iter().all(|&time| time >= BUSY && time <= took), "{callback:?}");
    assert!(decode.iter().all(|&time| time <= took), "{decode:?}");
    // The later ones waited, in libzmq, for the callbacks of those before.
    assert!(receive.iter().all(|&time| time >= BUSY), "{receive:?}");
    assert!(callback.quantile(1.0) >= callback.quantile(0.5));
}

#[test]
fn a_reader_without_a_callback_has_the_first_two_stages_and_an_untraced_one_has_none() {
    let folder = Folder::new();
    let node = Node::builder("both").discovery(&folder.discovery()).trace_latency(3);
    let node = node.create().expect("a node");
    let notes = node.publisher::<StringMessage>("/t").create().expect("it binds");
    let mut traced = node.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    let silent = node.subscriber::<StringMessage>("/t").trace_latency(0);
    let mut silent = silent.create().expect("a subscriber");
    connect(&mut traced, &notes, 1);
    connect(&mut silent, &notes, 2);
    for _ in 0..2 {
        assert_eq!(notes.publish(&NOTE).expect("it is published"), Published::Sent);
        for seen in [&mut traced, &mut silent] {
            assert!(seen.recv_timeout(DEADLINE).expect("no error").is_some());
        }
    }
    let Latency { receive, decode, callback, .. } = traced.stats().latency;
    assert_eq!((receive.len(), decode.len(), callback.len()), (2, 2, 0));
    assert_eq!(silent.stats().latency, Latency::default());
}

#[test]
fn the_environment_says_how_many_stage_samples_are_kept() {
    const VARIABLE: &str = "CORTEX_TRACE_LATENCY";
    if !is_alone() {
        for count in ["2", "nonsense", "-1"] {
            let name = "stats::the_environment_says_how_many_stage_samples_are_kept";
            run_alone_with(name, [(VARIABLE, count)]);
        }
        return;
    }
    let count = std::env::var(VARIABLE).expect("it was set for this process");
    let folder = Folder::new();
    let node = node(&folder, "both");
    let notes = node.publisher::<StringMessage>("/t").create().expect("it binds");
    let mut seen = node.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    connect(&mut seen, &notes, 1);
    for _ in 0..3 {
        assert_eq!(notes.publish(&NOTE).expect("it is published"), Published::Sent);
        assert!(seen.recv_timeout(DEADLINE).expect("no error").is_some());
    }
    assert_eq!(seen.stats().latency.decode.len(), count.parse().unwrap_or(0));
}

#[test]
fn a_nodes_stats_list_its_publishers_subscribers_and_timers_by_topic() {
    let folder = Folder::new();
    let node = node(&folder, "both");
    let b = node.publisher::<StringMessage>("/b").create().expect("it binds");
    let a = node.publisher::<StringMessage>("/a").create().expect("it binds");
    let mut seen = node.subscriber::<StringMessage>("/b").create().expect("a subscriber");
    connect(&mut seen, &b, 1);
    for _ in 0..3 {
        assert_eq!(b.publish(&NOTE).expect("it is published"), Published::Sent);
        assert!(seen.recv_timeout(DEADLINE).expect("no error").is_some());
    }
    let period = Duration::from_millis(2);
    let timer = node
        .timer_builder(period)
        .thread(ThreadOptions::named("ticks"))
        .on_thread(|tick| {
            if tick.index == 0 {
                std::thread::sleep(Duration::from_millis(9));
            }
            Err::<(), _>("failed on purpose")
        })
        .expect("a thread");
    wait_until("the timer overran", || timer.ticks() >= 5);

    let stats = node.stats();
    let publishers: Vec<_> =
        stats.publishers.iter().map(|(topic, stats)| (topic.as_str(), stats.published)).collect();
    assert_eq!(publishers, [("/a", 0), ("/b", 3)]);
    let subscribers: Vec<_> =
        stats.subscribers.iter().map(|(topic, stats)| (topic.as_str(), stats.received)).collect();
    assert_eq!(subscribers, [("/b", 3)]);
    let [ticks] = &stats.timers[..] else { panic!("{stats:?}") };
    assert_eq!((ticks.period, ticks.thread.as_deref()), (period, Some("ticks")));
    assert!(ticks.ticks >= 5 && ticks.overruns >= 1 && ticks.failures >= 5, "{ticks:?}");

    // A closed publisher is not listed. A node that ended lists its parts of that moment.
    drop(a);
    wait_until("its publisher is gone", || node.stats().publishers.len() == 1);
    let handle = node.handle();
    drop(node);
    drop((b, seen, timer));
    assert_eq!(handle.stats().publishers[0].1.published, 3);
    assert_eq!(handle.stats().subscribers[0].1.received, 3);
    assert_eq!(handle.stats().timers.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_nodes_stats_list_the_timers_of_its_task_even_after_the_end() {
    let folder = Folder::new();
    let node = node(&folder, "clock");
    let handle = node.handle();
    node.timer(Duration::from_millis(10), async move |tick| {
        if tick.index == 4 {
            handle.shutdown();
        }
    });
    node.run().await.expect("no error");
    let [ticks] = &node.stats().timers[..] else { panic!("one timer") };
    // The fifth had not returned yet when the end began.
    assert_eq!((ticks.ticks, ticks.overruns, ticks.thread.as_deref()), (4, 0, None));
}

#[test]
fn stats_do_not_wait_for_a_publisher_that_waits_for_room() {
    let folder = Folder::new();
    let node = node(&folder, "both");
    let arrays = node
        .publisher::<ArrayMessage>("/t")
        .queue(1)
        .block_for(Duration::MAX)
        .create()
        .expect("it binds");
    let mut stuck = node.subscriber::<ArrayMessage>("/t").queue(1).create().expect("a subscriber");
    connect(&mut stuck, &arrays, 1);
    let publishing = arrays.clone();
    let publisher = std::thread::spawn(move || {
        let data = vec![0_u8; 1 << 20];
        let data = ArrayView::from_slice(&data, &[1 << 20]).expect("it fits");
        let message = ArrayMessage { data, name: "", frame_id: "" };
        // Until the node ends, since no subscriber reads.
        while publishing.publish(&message).is_ok() {}
    });
    // The count stops: the publisher waits for room.
    let mut last = (0, Instant::now());
    wait_until("the publisher waits for room", || {
        let published = arrays.stats().published;
        if published != last.0 {
            last = (published, Instant::now());
        }
        published > 0 && last.1.elapsed() > Duration::from_millis(200)
    });
    let stats = arrays.stats();
    assert_eq!((stats.published, stats.subscribers), (last.0, 1));
    assert_eq!(arrays.subscriber_count(), 1);
    arrays.blocking_wait_for_subscribers(1, Duration::ZERO).expect("they subscribe");
    assert_eq!(
        arrays.blocking_wait_for_subscribers(2, Duration::from_millis(5)),
        Err(WaitError::TimedOut)
    );
    assert_eq!(node.stats().publishers[0].1.published, last.0);
    let _ = arrays.registration();
    node.handle().shutdown();
    publisher.join().expect("it ends");
}

#[test]
fn a_node_lists_its_publishers_and_subscribers_while_they_exist() {
    let folder = Folder::new();
    let node = node(&folder, "lister");
    let arrays = node.publisher::<ArrayMessage>("/b").create().expect("it binds");
    let notes = node.publisher::<StringMessage>("/a").create().expect("it binds");
    let mut seen = node.subscriber::<ArrayMessage>("/b").create().expect("a subscriber");
    connect(&mut seen, &arrays, 1);
    let listed: Vec<_> = node
        .publishers()
        .into_iter()
        .map(|publisher| (publisher.topic, publisher.message_type, publisher.address))
        .collect();
    let address = |publisher: &str| publisher.to_owned();
    assert_eq!(
        listed,
        [
            ("/a".to_owned(), "StringMessage", address(notes.address())),
            ("/b".to_owned(), "ArrayMessage", address(arrays.address())),
        ]
    );
    let subscriber = node.find_subscriber("/b").expect("it is listed");
    assert_eq!(subscriber.message_type, "ArrayMessage");
    assert_eq!(subscriber.publishers, [arrays.address()]);
    let handle = seen.handle();
    drop((seen, arrays));
    assert_eq!((node.find_subscriber("/b"), node.find_publisher("/b")), (None, None));
    assert!(handle.is_stopped());
    assert!(node.find_publisher("/a").is_some());
}

#[test]
fn spin_with_a_timeout_returns_whether_the_node_was_shut_down() {
    let folder = Folder::new();
    let node = node(&folder, "spinner");
    let notes = node.publisher::<StringMessage>("/a").create().expect("it binds");
    assert!(!node.spin_timeout(Duration::from_millis(5)).expect("no error"));
    assert_eq!(notes.publish(&StringMessage { data: "x" }).ok(), Some(Published::NoSubscribers));
    let handle = node.handle();
    let stopper = std::thread::spawn(move || handle.shutdown());
    assert!(node.spin_timeout(DEADLINE).expect("no error"));
    stopper.join().expect("no panic");
    assert!(notes.publish(&StringMessage { data: "x" }).is_err());
}

#[test]
fn the_times_of_the_last_message_are_known_on_both_sides() {
    let folder = Folder::new();
    let node = node(&folder, "both");
    let notes = node.publisher::<StringMessage>("/a").create().expect("it binds");
    let mut seen = node.subscriber::<StringMessage>("/a").create().expect("a subscriber");
    connect(&mut seen, &notes, 1);
    assert_eq!(notes.stats().last_publish_time, None);
    assert_eq!(seen.stats().last_receive_time, None);
    let before = SystemTime::now();
    notes.publish(&StringMessage { data: "x" }).expect("it is published");
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    let sent = notes.stats().last_publish_time.expect("it published");
    let received = seen.stats().last_receive_time.expect("it received");
    assert!(before <= sent && sent <= received && received <= SystemTime::now());
    let since = sent.duration_since(SystemTime::UNIX_EPOCH).expect("after the epoch");
    assert_eq!(since, Duration::from_nanos(sample.header().timestamp_ns));
}

#[test]
fn a_callback_can_be_tested_with_ticks_losses_and_headers_made_by_hand() {
    let header = Header::of::<StringMessage<'_>>(1, 2);
    assert_eq!(Loss::new(LossKind::Lost(3), header).header.sequence, 2);
    let tick = Tick::new(7);
    assert_eq!((tick.index, tick.late, tick.overruns), (7, Duration::ZERO, 0));
    let now = TimestampMessage::now();
    assert!(now.sec > 1_700_000_000 && (0..1_000_000_000).contains(&now.nanosec));
}
