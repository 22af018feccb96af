//! The forms in which messages are delivered, and how they end.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use cortex_std::discovery::Daemon;
use cortex_std::wire::StringMessage;
use cortex_std::{CreateError, Node, Queue, ReceiveError, Sample, ThreadError, ThreadOptions};
use cortex_tests::graph::Folder;
use cortex_tests::{DEADLINE, wait_until};
use futures_util::StreamExt;

use super::{Graph, TOPIC, accounted, connect, next, publish, wait_for_subscribers};

#[test]
fn several_subscribers_to_one_topic_in_one_node_all_get_it() {
    let graph = Graph::new();
    let notes = graph.notes();
    let (sender, on_thread) = channel();
    let _thread = graph
        .node
        .subscriber::<StringMessage>(TOPIC)
        .queue(0)
        .on_thread(move |_, header| sender.send(header.sequence))
        .expect("a subscriber");
    let mut queued =
        [graph.subscriber(Queue::KeepNewest(0)), graph.subscriber(Queue::KeepNewest(0))];
    let mut direct = graph.subscriber(0);
    wait_until("the subscribers are connected", || {
        assert!(direct.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
        notes.subscriber_count() == 4
    });
    publish(&notes, 1000);
    for expected in 0..1000 {
        assert_eq!(next(&mut direct), expected);
        assert_eq!(queued.each_mut().map(next), [expected; 2]);
        assert_eq!(on_thread.recv_timeout(DEADLINE), Ok(expected));
    }
}

#[tokio::test]
async fn a_receive_cancelled_again_and_again_loses_nothing() {
    const COUNT: u64 = 10_000;
    for queue in [Queue::KeepOldest(0), Queue::KeepNewest(0)] {
        let graph = Graph::new();
        let notes = graph.notes();
        let mut seen = graph.subscriber(queue);
        // It stays until all have arrived: closing it would drop unsent messages.
        let talking = notes.clone();
        let talker = thread::spawn(move || {
            let notes = talking;
            wait_for_subscribers(&notes, 1);
            for _ in 0..COUNT / 10 {
                publish(&notes, 10);
                // Lets the reader run dry: only one that waits can be cancelled.
                thread::sleep(Duration::from_micros(100));
            }
        });
        let mut clock = tokio::time::interval(Duration::from_millis(1));
        let (mut expected, mut ticks, mut cancelled) = (0, 0_u64, 0_u64);
        let all = async {
            while expected < COUNT {
                tokio::select! {
                    sample = seen.recv() => {
                        assert_eq!(sample.expect("no error").header().sequence, expected);
                        expected += 1;
                    }
                    _ = clock.tick() => ticks += 1,
                    () = tokio::task::yield_now() => cancelled += 1,
                }
            }
        };
        let is_in_time = tokio::time::timeout(DEADLINE, all).await.is_ok();
        assert!(is_in_time, "{queue:?}: {expected} of {COUNT}, {ticks} ticks, {:?}", seen.stats());
        talker.join().expect("it ends");
        assert!(ticks > 0 && cancelled > 0, "{ticks} ticks, {cancelled} cancelled");
        println!("{queue:?}: {ticks} ticks, {cancelled} times cancelled");
        assert_eq!(accounted(&seen.stats()), seen.stats().received);
    }
}

#[tokio::test]
async fn a_stream_yields_every_sample_and_ends_with_the_node() {
    for queue in [Queue::KeepOldest(0), Queue::KeepNewest(0)] {
        let graph = Graph::new();
        let notes = graph.notes();
        let handle = graph.node.handle();
        let stream = graph.subscriber(queue);
        let (done, finished) = channel::<()>();
        let talker = thread::spawn(move || {
            wait_for_subscribers(&notes, 1);
            publish(&notes, 100);
            finished.recv().expect("all are read");
            handle.shutdown();
        });
        let read = async {
            let mut numbers = Vec::new();
            let mut stream = stream;
            while let Some(sample) = stream.next().await {
                let sample = sample.expect("no error");
                assert_eq!(sample.message().expect("it was checked").data, "note");
                numbers.push(sample.header().sequence);
                if numbers.len() == 100 {
                    done.send(()).expect("the receiver exists");
                }
            }
            numbers
        };
        let numbers = tokio::time::timeout(DEADLINE, read).await.expect("in time");
        assert!(numbers.iter().copied().eq(0..100));
        talker.join().expect("it ends");
    }
}

#[test]
fn try_recv_returns_what_is_there_and_does_not_wait() {
    for queue in [Queue::KeepOldest(0), Queue::KeepNewest(0)] {
        let graph = Graph::new();
        let notes = graph.notes();
        let mut seen = graph.subscriber(queue);
        assert!(seen.try_recv().expect("no error").is_none());
        connect(&mut seen, &notes);
        publish(&notes, 10);
        let mut numbers = Vec::new();
        wait_until("all are read", || {
            numbers.extend(seen.try_recv().expect("no error").map(|it| it.header().sequence));
            numbers.len() == 10
        });
        assert!(numbers.iter().copied().eq(0..10), "{numbers:?}");
        assert!(seen.try_recv().expect("no error").is_none());
        graph.node.handle().shutdown();
        wait_until("it is closed", || matches!(seen.try_recv(), Err(ReceiveError::Closed)));
    }
}

#[tokio::test]
async fn a_stopped_subscriber_ends_in_every_form_while_the_node_runs() {
    for queue in [Queue::KeepOldest(0), Queue::KeepNewest(0)] {
        let graph = Graph::new();
        let node = &graph.node;
        let alive = Rc::new(());
        let held = Rc::clone(&alive);
        let on_message = node.subscriber::<StringMessage>(TOPIC).queue(queue);
        let on_message =
            on_message.on_message(async move |_, _| drop(Rc::clone(&held))).expect("it is created");
        let mut awaited = graph.subscriber(queue);
        let awaited_handle = awaited.handle();
        let mut blocked = graph.subscriber(queue);
        let blocked_handle = blocked.handle();
        assert_eq!(node.subscribers().len(), 3);
        let thread = thread::spawn(move || blocked.blocking_recv().map(drop));
        let stop = async {
            // The others wait by now.
            tokio::time::sleep(Duration::from_millis(5)).await;
            for handle in [&on_message, &awaited_handle, &blocked_handle] {
                assert!(!handle.is_stopped());
                handle.stop();
            }
            while Rc::strong_count(&alive) > 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            node.handle().shutdown();
        };
        let all = async { tokio::join!(awaited.recv(), node.run(), stop) };
        let (received, ran, ()) = tokio::time::timeout(DEADLINE, all).await.expect("in time");
        assert!(matches!(received, Err(ReceiveError::Closed)));
        ran.expect("no error");
        let blocked = thread.join().expect("no panic");
        assert!(matches!(blocked, Err(ReceiveError::Closed)));
        assert!(on_message.is_stopped());
    }
}

#[tokio::test]
async fn samples_may_be_kept_and_read_on_other_threads() {
    let graph = Graph::new();
    let notes = graph.notes();
    let (sender, receiver) = channel::<Sample<StringMessage<'static>>>();
    let handle = graph.node.handle();
    graph
        .node
        .subscriber::<StringMessage>(TOPIC)
        .queue(0)
        .on_sample(async move |sample| sender.send(sample))
        .expect("a subscriber");
    let reader = thread::spawn(move || {
        wait_for_subscribers(&notes, 1);
        publish(&notes, 50);
        let kept: Vec<_> =
            (0..50).map(|_| receiver.recv_timeout(DEADLINE).expect("in time")).collect();
        handle.shutdown();
        kept
    });
    tokio::time::timeout(DEADLINE, graph.node.run()).await.expect("in time").expect("no error");
    let kept = reader.join().expect("it ends");
    // Everything else is gone by now.
    drop(graph);
    let read = |sample: &Sample<StringMessage<'static>>| {
        sample.message().expect("it was checked").data.to_owned()
    };
    assert!(kept.iter().map(read).all(|data| data == "note"));
    let numbers: BTreeSet<u64> = kept.iter().map(|sample| sample.header().sequence).collect();
    assert_eq!(numbers.len(), 50);
}

#[test]
fn a_thread_callback_that_fails_or_panics_is_counted_and_the_next_message_comes() {
    let graph = Graph::new();
    let notes = graph.notes();
    let (sender, called) = channel();
    let seen = graph
        .node
        .subscriber::<StringMessage>(TOPIC)
        .queue(0)
        .on_thread(move |message, header| {
            assert_eq!(message.data, "note");
            sender.send(thread::current().id()).expect("the receiver exists");
            match header.sequence % 3 {
                0 => Err("failed on purpose"),
                1 => panic!("on purpose"),
                _ => Ok(()),
            }
        })
        .expect("a subscriber");
    wait_for_subscribers(&notes, 1);
    publish(&notes, 30);
    let threads: BTreeSet<String> =
        (0..30).map(|_| format!("{:?}", called.recv_timeout(DEADLINE).expect("in time"))).collect();
    assert_eq!(threads.len(), 1);
    assert!(!threads.contains(&format!("{:?}", thread::current().id())));
    wait_until("the last one is done", || seen.stats().received == 30);
    assert_eq!(seen.stats().failed, 20);
}

#[test]
fn a_thread_runs_with_its_options_or_the_error_is_returned() {
    let graph = Graph::new();
    let notes = graph.notes();
    let (sender, called) = channel();
    let options = ThreadOptions { cores: vec![0], ..ThreadOptions::named("control") };
    let _seen = graph
        .node
        .subscriber::<StringMessage>(TOPIC)
        .thread(options)
        .on_thread(move |_, _| sender.send(thread::current().name().map(str::to_owned)))
        .expect("a subscriber");
    wait_for_subscribers(&notes, 1);
    publish(&notes, 1);
    assert_eq!(called.recv_timeout(DEADLINE), Ok(Some("control".to_owned())));
    let options = ThreadOptions { cores: vec![100_000], ..ThreadOptions::default() };
    let refused = graph
        .node
        .subscriber::<StringMessage>(TOPIC)
        .thread(options)
        .on_thread(|_, _| ())
        .expect_err("there is no such core");
    assert!(matches!(refused, CreateError::Thread(ThreadError::Affinity { .. })), "{refused}");
}

#[test]
fn threads_end_with_the_subscriber_and_with_the_node() {
    for queue in [Queue::KeepOldest(0), Queue::Latest] {
        let graph = Graph::new();
        let notes = graph.notes();
        // The thread owns the callbacks: once they are dropped, it has ended.
        let tracked = || {
            let held = Arc::new(());
            (Arc::downgrade(&held), held)
        };
        let is_gone = |weak: &Weak<()>| weak.upgrade().is_none();

        let (weak, held) = tracked();
        let subscriber = graph.node.subscriber::<StringMessage>(TOPIC).queue(queue);
        let dropped = subscriber.on_loss(move |_| drop(Arc::clone(&held))).create();
        assert!(!is_gone(&weak));
        drop(dropped.expect("a subscriber"));
        assert!(is_gone(&weak), "{queue:?}: it ended when the subscriber was dropped");

        let (weak, held) = tracked();
        let subscriber = graph.node.subscriber::<StringMessage>(TOPIC).queue(queue);
        let dropped = subscriber.on_thread(move |_, _| drop(Arc::clone(&held)));
        drop(dropped.expect("a subscriber"));
        assert!(is_gone(&weak), "{queue:?}: it ended when the thread subscriber was dropped");

        let (weak, held) = tracked();
        let subscriber = graph.node.subscriber::<StringMessage>(TOPIC).queue(queue);
        let kept = subscriber.on_thread(move |_, _| drop(Arc::clone(&held)));
        let kept = kept.expect("a subscriber");
        wait_for_subscribers(&notes, 1);
        assert!(!kept.is_finished());
        drop(graph.node);
        assert!(is_gone(&weak), "{queue:?}: it ended with the node");
        assert!(kept.is_finished());
        graph.daemon.stop();
        assert_eq!(graph.folder.files(), Vec::<std::path::PathBuf>::new());
    }
}

#[test]
fn a_thread_callback_may_shut_its_node_down() {
    for queue in [Queue::KeepOldest(0), Queue::Latest] {
        let graph = Graph::new();
        let notes = graph.notes();
        let handle = graph.node.handle();
        let seen = graph
            .node
            .subscriber::<StringMessage>(TOPIC)
            .queue(queue)
            .on_thread(move |_, _| handle.shutdown())
            .expect("a subscriber");
        wait_for_subscribers(&notes, 1);
        publish(&notes, 1);
        wait_until("its thread has ended", || seen.is_finished());
        assert!(graph.node.handle().is_shut_down());
    }
}

#[test]
fn a_callback_that_never_returns_does_not_hold_the_node_back() {
    let graph = Graph::new();
    let notes = graph.notes();
    let (entered, enter) = channel();
    let (_release, released) = channel::<()>();
    let seen = graph
        .node
        .subscriber::<StringMessage>(TOPIC)
        .on_thread(move |_, _| {
            entered.send(()).expect("the receiver exists");
            let _ = released.recv();
        })
        .expect("a subscriber");
    wait_for_subscribers(&notes, 1);
    publish(&notes, 1);
    enter.recv_timeout(DEADLINE).expect("the callback is called");
    // The test is that these return: the callback waits for a channel that outlives them.
    drop(graph.node);
    drop(seen);
}

#[test]
fn a_blocked_receive_ends_with_the_node() {
    for queue in [Queue::KeepOldest(0), Queue::Latest] {
        let graph = Graph::new();
        let notes = graph.notes();
        let mut seen = graph.subscriber(queue);
        let (sender, receiver) = channel();
        let blocked = thread::spawn(move || {
            while let Ok(sample) = seen.blocking_recv() {
                sender.send(sample.header().sequence).expect("the receiver exists");
            }
            (seen.blocking_recv(), seen.recv_timeout(DEADLINE))
        });
        wait_for_subscribers(&notes, 1);
        publish(&notes, 1);
        assert_eq!(receiver.recv_timeout(DEADLINE), Ok(0));
        graph.node.handle().shutdown();
        let again = blocked.join().expect("it ends");
        assert!(matches!(again, (Err(ReceiveError::Closed), Err(ReceiveError::Closed))));
    }
}

#[test]
fn a_spinning_receive_gets_every_message_and_ends_with_the_node() {
    for spin in [Duration::from_micros(50), Duration::MAX] {
        let graph = Graph::new();
        let notes = graph.notes();
        let mut seen = graph
            .node
            .subscriber::<StringMessage>(TOPIC)
            .queue(0)
            .spin(spin)
            .create()
            .expect("a subscriber");
        connect(&mut seen, &notes);
        publish(&notes, 1000);
        for expected in 0..1000 {
            assert_eq!(next(&mut seen), expected);
        }
        let blocked = thread::spawn(move || seen.blocking_recv());
        graph.node.handle().shutdown();
        assert!(matches!(blocked.join().expect("it ends"), Err(ReceiveError::Closed)));
    }
}

#[tokio::test]
async fn a_reader_of_a_flood_does_not_starve_other_tasks() {
    for queue in [Queue::KeepOldest(1000), Queue::KeepNewest(1000)] {
        let graph = Graph::new();
        let notes = graph.node.publisher::<StringMessage>(TOPIC).queue(1000).create();
        let notes = notes.expect("it binds");
        let mut seen = graph.subscriber(queue);
        let received = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&received);
        // A loop that only receives, as a separate task on the same thread.
        let reader = tokio::spawn(async move {
            while seen.recv().await.is_ok() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let flooder = thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                notes.publish(&StringMessage { data: "flood" }).expect("it is published");
            }
        });
        let ticks = async {
            while received.load(Ordering::Relaxed) < 1000 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            for _ in 0..50 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(DEADLINE, ticks).await.expect("the timer ticks");
        is_over.store(true, Ordering::Relaxed);
        flooder.join().expect("it ends");
        graph.node.handle().shutdown();
        tokio::time::timeout(DEADLINE, reader).await.expect("in time").expect("it ends");
    }
}

#[tokio::test]
async fn a_subscriber_waits_for_daemon_and_publisher_without_blocking_the_runtime() {
    let folder = Folder::new();
    let early = Node::builder("early").discovery(&folder.discovery()).host_discovery(false);
    let early = early.create().expect("a node");
    let mut seen = early.subscriber::<StringMessage>(TOPIC).create().expect("a subscriber");
    let mut clock = tokio::time::interval(Duration::from_millis(5));
    let (mut ticks, mut others) = (0, None);
    let received = async {
        loop {
            tokio::select! {
                sample = seen.recv() => break sample.expect("no error"),
                _ = clock.tick() => ticks += 1,
            }
            if ticks < 20 || others.is_some() {
                continue;
            }
            // Until now there was neither a daemon nor a publisher.
            let address = folder.discovery();
            let daemon = Daemon::bind(&address).expect("it binds").spawn().expect("it starts");
            let late = Node::builder("late").discovery(&address).create().expect("a node");
            let notes = late.publisher::<StringMessage>(TOPIC).create().expect("it binds");
            let talker = thread::spawn(move || {
                wait_for_subscribers(&notes, 1);
                publish(&notes, 1);
                // It stays until the message has come.
                notes
            });
            others = Some((daemon, late, talker));
        }
    };
    let sample = tokio::time::timeout(DEADLINE, received).await.expect("in time");
    assert_eq!(sample.header().sequence, 0);
    let (_daemon, _late, talker) = others.expect("they were started");
    drop(talker.join().expect("it ends"));
}
