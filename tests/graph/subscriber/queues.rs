//! Queue policies for a slow reader.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use cortex_std::wire::{ArrayMessage, ArrayView, StringMessage};
use cortex_std::{Published, Queue};
use cortex_tests::{DEADLINE, wait_until};

use super::{Graph, TOPIC, accounted, connect, next, publish, wait_for_subscribers};

#[test]
fn latest_shows_the_last_message_to_a_slow_reader() {
    let graph = Graph::new();
    let notes = graph.notes();
    // It connects on its own thread, without a receive.
    let mut seen = graph.subscriber(Queue::Latest);
    wait_for_subscribers(&notes, 1);
    for round in 1..=3_u64 {
        publish(&notes, 500);
        wait_until("all have come", || seen.stats().overwritten == round * 499);
        assert_eq!(next(&mut seen), round * 500 - 1);
        assert!(seen.recv_timeout(Duration::ZERO).expect("no error").is_none());
    }
    assert_eq!((seen.stats().received, seen.stats().lost), (3, 0));
    assert_eq!(accounted(&seen.stats()), 1500);
}

#[test]
fn keep_newest_holds_exactly_the_newest_n() {
    const KEPT: u64 = 7;
    let graph = Graph::new();
    let notes = graph.notes();
    let mut seen = graph.subscriber(Queue::KeepNewest(7));
    wait_for_subscribers(&notes, 1);
    publish(&notes, 1000);
    wait_until("all have come", || seen.stats().overwritten == 1000 - KEPT);
    let read: Vec<u64> = (0..KEPT).map(|_| next(&mut seen)).collect();
    assert!(read.iter().copied().eq(1000 - KEPT..1000), "{read:?}");
    // A reader that keeps up sees every one.
    for expected in 1000..1100 {
        publish(&notes, 1);
        assert_eq!(next(&mut seen), expected);
    }
    let stats = seen.stats();
    assert_eq!((stats.received, stats.lost, stats.overwritten), (107, 0, 993));
    assert_eq!(accounted(&stats), 1100);
}

#[test]
fn keep_newest_without_a_limit_holds_all() {
    let graph = Graph::new();
    let notes = graph.notes();
    let mut seen = graph.subscriber(Queue::KeepNewest(0));
    wait_for_subscribers(&notes, 1);
    publish(&notes, 5000);
    for expected in 0..5000 {
        assert_eq!(next(&mut seen), expected);
    }
    assert_eq!(accounted(&seen.stats()), seen.stats().received);
}

#[test]
fn keep_oldest_holds_the_oldest_and_counts_the_rest_as_lost() {
    let graph = Graph::new();
    let arrays = graph
        .node
        .publisher::<ArrayMessage>(TOPIC)
        .queue(2)
        .block_for(Duration::from_millis(300))
        .create()
        .expect("it binds");
    let mut seen =
        graph.node.subscriber::<ArrayMessage>(TOPIC).queue(2).create().expect("a subscriber");
    wait_until("the subscriber is connected", || {
        assert!(seen.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
        arrays.subscriber_count() > 0
    });
    let data = vec![0_u8; 1 << 20];
    let message = ArrayMessage {
        data: ArrayView::from_slice(&data, &[data.len()]).expect("it fits"),
        name: "",
        frame_id: "",
    };
    // The reader does not read: sooner or later there is no room left.
    while arrays.publish(&message).expect("it is published") == Published::Sent {}
    let kept = arrays.stats().published - 1;
    assert!(kept >= 2, "{kept}");
    for _ in 0..5 {
        arrays.publish(&message).expect("it is published");
    }
    for expected in 0..kept {
        let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert_eq!(sample.header().sequence, expected);
    }
    assert_eq!(seen.stats().lost, 0);
    wait_until("a message comes after the gap", || {
        arrays.publish(&message).expect("it is published");
        seen.recv_timeout(Duration::from_millis(20)).expect("no error").is_some()
    });
    let stats = seen.stats();
    assert!(stats.lost >= 6, "{stats:?}");
    assert_eq!(stats.overwritten, 0);
    while seen.recv_timeout(Duration::from_millis(200)).expect("no error").is_some() {}
    assert_eq!(accounted(&seen.stats()), arrays.stats().published);
}

#[tokio::test]
async fn a_slow_async_callback_sees_the_latest_next() {
    let graph = Graph::new();
    let notes = graph.notes();
    let (entered, enter) = channel();
    let (release, released) = channel::<()>();
    let calls = Rc::new(RefCell::new(Vec::new()));
    let (called, handle) = (Rc::clone(&calls), graph.node.handle());
    let seen = graph
        .node
        .subscriber::<StringMessage>(TOPIC)
        .queue(Queue::Latest)
        .on_message(async move |_, header| {
            called.borrow_mut().push(header.sequence);
            if header.sequence == 0 {
                entered.send(()).expect("the receiver exists");
                // Blocks the thread of the runtime; the queue still keeps the newest message only.
                released.recv().expect("in time");
            } else {
                handle.shutdown();
            }
        })
        .expect("a subscriber");
    let talker = thread::spawn(move || {
        wait_for_subscribers(&notes, 1);
        publish(&notes, 1);
        enter.recv_timeout(DEADLINE).expect("the callback is called");
        publish(&notes, 999);
        wait_until("all have come", || seen.stats().overwritten == 998);
        release.send(()).expect("the callback waits");
    });
    tokio::time::timeout(DEADLINE, graph.node.run()).await.expect("in time").expect("no error");
    talker.join().expect("it ends");
    assert_eq!(*calls.borrow(), [0, 999]);
}

#[test]
fn a_slow_thread_callback_sees_the_newest_n_next() {
    let graph = Graph::new();
    let notes = graph.notes();
    let (entered, enter) = channel();
    let (release, released) = channel::<()>();
    let seen = graph
        .node
        .subscriber::<StringMessage>(TOPIC)
        .queue(Queue::KeepNewest(3))
        .on_thread(move |_, header| {
            entered.send(header.sequence).expect("the receiver exists");
            if header.sequence == 0 {
                released.recv().expect("in time");
            }
        })
        .expect("a subscriber");
    wait_for_subscribers(&notes, 1);
    publish(&notes, 1);
    assert_eq!(enter.recv_timeout(DEADLINE), Ok(0));
    publish(&notes, 999);
    wait_until("all have come", || seen.stats().overwritten == 996);
    release.send(()).expect("the callback waits");
    for expected in 997..1000 {
        assert_eq!(enter.recv_timeout(DEADLINE), Ok(expected));
    }
    assert_eq!(accounted(&seen.stats()), 1000);
}

#[test]
fn a_slow_reader_shows_the_age_of_its_messages_and_how_far_it_is_behind() {
    let graph = Graph::new();
    let notes = graph.notes();
    let mut seen = graph.subscriber(0);
    assert_eq!((seen.stats().age, seen.stats().behind), (Duration::ZERO, 0));
    connect(&mut seen, &notes);
    publish(&notes, 2);
    next(&mut seen);
    let pause = Duration::from_millis(100);
    thread::sleep(pause);
    next(&mut seen);
    let stats = seen.stats();
    assert!(stats.age >= pause, "{:?}", stats.age);
    // The messages were published within much less than that.
    assert!(stats.behind > 1, "{}", stats.behind);
    assert_eq!(stats.lost, 0);
}
