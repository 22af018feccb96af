//! Rust nodes among themselves.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cortex_std::discovery::Client;
use cortex_std::wire::{
    ArrayMessage, ArrayView, Dtype, Header, ImageMessage, OwnedArray, StringMessage,
};
use cortex_std::{MissedTicks, PublishError, Published, ReceiveError, Registration};
use cortex_tests::graph::{Folder, connect, daemon, guest, node};
use cortex_tests::{DEADLINE, wait_until};

fn text(data: &str) -> StringMessage<'_> {
    StringMessage { data }
}

#[test]
fn every_array_arrives_equal_whatever_its_dtype_and_length() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker");
    let listener = node(&folder, "listener");
    let arrays = talker.publisher::<ArrayMessage>("/arrays").queue(0).create().expect("it binds");
    let mut seen =
        listener.subscriber::<ArrayMessage>("/arrays").queue(0).create().expect("a subscriber");
    // Nothing is connected before the first receive.
    assert!(seen.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
    connect(&mut seen, &arrays, 1);

    let mut sent = Vec::new();
    for items in [0_usize, 1, 2, 3, 7, 100, 1000, 5000, 100_000] {
        for dtype in ["|u1", "<f4", ">i2", "<f8"] {
            let dtype: Dtype = dtype.parse().expect("a dtype");
            let data: Vec<u8> = (0..items * dtype.item_len()).map(|at| (at * 31) as u8).collect();
            sent.push(OwnedArray::new(dtype, &[items], data).expect("it fits"));
        }
    }
    for array in &sent {
        // Names of different lengths give the following frames different addresses.
        let name = "n".repeat(sent.len() % 13);
        let message = ArrayMessage { data: array.view(), name: &name, frame_id: "" };
        assert_eq!(arrays.publish(&message).expect("it is published"), Published::Sent);
    }
    let mut odd_floats = 0;
    for array in &sent {
        let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
        let message = sample.message().expect("it was checked");
        assert_eq!(message.data, array.view());
        if let Ok(items) = message.data.iter::<f32>() {
            // Wherever it lies, it is read; in place only where it is aligned.
            let expected: Vec<f32> = array.view().iter().expect("floats").collect();
            let read: Vec<f32> = items.collect();
            assert!(read.iter().map(|f| f.to_bits()).eq(expected.iter().map(|f| f.to_bits())));
            let aligned = message.data.data().as_ptr().addr() % align_of::<f32>() == 0;
            let empty = message.data.item_count() == 0;
            assert_eq!(message.data.as_slice::<f32>().is_ok(), aligned || empty);
            odd_floats += usize::from(!aligned);
        }
    }
    println!("{odd_floats} arrays of floats were not aligned");
    assert_eq!(seen.stats().lost, 0);
}

#[test]
fn owners_and_loans_arrive_as_they_were_filled() {
    struct Camera {
        pixels: Vec<u8>,
        dropped: std::sync::mpsc::Sender<()>,
    }
    impl Drop for Camera {
        fn drop(&mut self) {
            let _ = self.dropped.send(());
        }
    }

    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let node = node(&folder, "both");
    let images = node.publisher::<ImageMessage>("/images").create().expect("it binds");
    let mut seen = node.subscriber::<ImageMessage>("/images").create().expect("a subscriber");
    connect(&mut seen, &images, 1);

    let (dropped, drops) = std::sync::mpsc::channel();
    let owner = Arc::new(Camera { pixels: vec![7; 640 * 480], dropped });
    let sent = images
        .publish_from(owner, |camera| {
            let view = ArrayView::from_slice(&camera.pixels, &[480, 640]).expect("it fits");
            ImageMessage::new(view, "mono8")
        })
        .expect("it is published");
    assert_eq!(sent, Published::Sent);
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    let image = sample.message().expect("it was checked");
    assert_eq!((image.width, image.height, image.encoding), (640, 480, "mono8"));
    assert!(image.data.data().iter().all(|&pixel| pixel == 7));
    drops.recv_timeout(DEADLINE).expect("the owner is released after sending");

    let mut loan = images.loan::<u16>(&[2, 3]).expect("memory");
    loan.copy_from_slice(&[1, 2, 3, 4, 5, 6]);
    let sent = loan.publish(|array| ImageMessage::new(array, "mono16")).expect("it is published");
    assert_eq!(sent, Published::Sent);
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    let image = sample.message().expect("it was checked");
    assert!(image.data.iter::<u16>().expect("u16").eq(1..=6));
}

#[test]
fn a_subscriber_waits_for_daemon_and_publisher_in_any_order() {
    let folder = Folder::new();
    let listener = guest(&folder, "listener");
    let mut seen = listener.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    let talker = guest(&folder, "talker");
    let notes = talker.publisher::<StringMessage>("/t").create().expect("it binds");
    assert_eq!(notes.registration(), Registration::Pending);
    assert!(seen.recv_timeout(Duration::from_millis(20)).expect("no error").is_none());
    // Only now there is a daemon.
    let _daemon = daemon(&folder);
    wait_until("it is registered", || notes.registration() == Registration::Registered);
    connect(&mut seen, &notes, 1);
    assert_eq!(notes.publish(&text("hello")).expect("it is published"), Published::Sent);
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(sample.message(), Ok(text("hello")));
}

#[test]
fn a_publisher_that_comes_back_is_found_again_under_a_new_daemon_too() {
    let folder = Folder::new();
    let first_daemon = daemon(&folder);
    let listener = guest(&folder, "listener");
    let mut seen = listener.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    let first = guest(&folder, "first");
    let notes = first.publisher::<StringMessage>("/t").create().expect("it binds");
    connect(&mut seen, &notes, 1);
    notes.publish(&text("one")).expect("it is published");
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(sample.message(), Ok(text("one")));
    drop(first);
    assert!(matches!(notes.publish(&text("late")), Err(PublishError::Closed)));

    // Another node means another address; a new daemon has no registrations.
    first_daemon.stop();
    let second = guest(&folder, "second");
    let notes = second.publisher::<StringMessage>("/t").create().expect("it binds");
    let _second_daemon = daemon(&folder);
    connect(&mut seen, &notes, 1);
    notes.publish(&text("two")).expect("it is published");
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(sample.message(), Ok(text("two")));
    assert_eq!(seen.stats().restarted, 1);
}

#[test]
fn a_topic_that_another_node_has_is_refused_visibly() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let first = node(&folder, "first");
    let ours = first.publisher::<StringMessage>("/t").create().expect("it binds");
    wait_until("it is registered", || ours.registration() == Registration::Registered);
    let second = node(&folder, "second");
    let theirs = second.publisher::<StringMessage>("/t").create().expect("it binds");
    wait_until("it is refused", || matches!(theirs.registration(), Registration::Refused(_)));
    // Once the first one leaves, the second is registered.
    drop(first);
    wait_until("it is registered", || theirs.registration() == Registration::Registered);
    // The same topic twice in one node is an error at once.
    let error = second.publisher::<StringMessage>("/t").create().expect_err("it is taken");
    assert!(error.to_string().contains("in use"), "{error}");
}

#[test]
fn eight_threads_publish_through_one_publisher_without_a_gap() {
    const THREADS: u64 = 8;
    const EACH: u64 = 500;
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let node = node(&folder, "both");
    let notes = node.publisher::<StringMessage>("/t").queue(0).create().expect("it binds");
    let mut seen = node.subscriber::<StringMessage>("/t").queue(0).create().expect("a subscriber");
    connect(&mut seen, &notes, 1);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let notes = notes.clone();
            scope.spawn(move || {
                for _ in 0..EACH {
                    assert_eq!(notes.publish(&text("x")).expect("it is sent"), Published::Sent);
                }
            });
        }
        for expected in 0..THREADS * EACH {
            let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
            assert_eq!(sample.header().sequence, expected);
        }
    });
    assert_eq!(notes.stats().published, THREADS * EACH);
}

#[tokio::test]
async fn callbacks_share_one_task_and_a_flood_starves_no_timer() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let node = node(&folder, "both");
    let flood = node.publisher::<StringMessage>("/flood").queue(1000).create().expect("it binds");
    // State that callbacks share needs no lock: it never leaves this thread.
    let received = Rc::new(RefCell::new(Vec::<Header>::new()));
    let counter = Rc::clone(&received);
    node.subscriber::<StringMessage>("/flood")
        .queue(1000)
        .on_message(async move |message, header| {
            assert_eq!(message.data, "flood");
            counter.borrow_mut().push(header);
        })
        .expect("a subscriber");
    let ticks = Rc::new(RefCell::new(0));
    let (clock, handle) = (Rc::clone(&ticks), node.handle());
    node.timer_builder(Duration::from_millis(5)).missed_ticks(MissedTicks::Skip).on_tick(
        async move |_| {
            *clock.borrow_mut() += 1;
            if *clock.borrow() == 100 {
                handle.shutdown();
            }
        },
    );
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let flooder = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            // Ends with the node.
            if flood.publish(&text("flood")).is_err() {
                return;
            }
        }
    });
    let result = tokio::time::timeout(DEADLINE, node.run()).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    flooder.join().expect("the flooder ends");
    result.expect("a hundred ticks come in time").expect("no error");
    assert_eq!(*ticks.borrow(), 100);
    assert!(received.borrow().len() > 100, "{} received", received.borrow().len());
}

#[tokio::test]
async fn a_callback_that_fails_or_panics_does_not_end_the_node() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let node = node(&folder, "both");
    let notes = node.publisher::<StringMessage>("/t").create().expect("it binds");
    let calls = Rc::new(RefCell::new(0));
    let (counter, handle) = (Rc::clone(&calls), node.handle());
    let seen = node
        .subscriber::<StringMessage>("/t")
        .on_message(async move |_, _| {
            *counter.borrow_mut() += 1;
            let call = *counter.borrow();
            match call {
                1 => Err("failed on purpose"),
                2 => panic!("on purpose"),
                3 => {
                    handle.shutdown();
                    Ok(())
                }
                _ => Ok(()),
            }
        })
        .expect("a subscriber");
    let ticks = Rc::new(RefCell::new(0_u32));
    let clock = Rc::clone(&ticks);
    node.timer(Duration::from_millis(5), async move |_| {
        *clock.borrow_mut() += 1;
        notes.publish(&text("x")).map_err(|error| error.to_string())?;
        Err::<(), _>("every time".to_owned())
    });
    tokio::time::timeout(DEADLINE, node.run()).await.expect("in time").expect("no error");
    assert_eq!(*calls.borrow(), 3);
    assert_eq!(seen.stats().failed, 2);
    // A failing timer keeps its pace: it does not spin.
    assert!(*ticks.borrow() < 1000, "{} ticks", ticks.borrow());
}

#[tokio::test]
async fn shutdown_from_any_thread_ends_everything_and_leaves_nothing() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let node = node(&folder, "both");
    let notes = node.publisher::<StringMessage>("/t").create().expect("it binds");
    wait_until("it is registered", || notes.registration() == Registration::Registered);
    let mut seen = node.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    let handle = node.handle();
    let other = std::thread::spawn(move || handle.shutdown());
    tokio::time::timeout(DEADLINE, node.run()).await.expect("in time").expect("no error");
    other.join().expect("the thread ends");
    assert!(node.handle().is_shut_down());
    assert!(matches!(seen.recv().await, Err(ReceiveError::Closed)));
    assert!(matches!(seen.recv_timeout(DEADLINE), Err(ReceiveError::Closed)));
    assert!(matches!(notes.publish(&text("late")), Err(PublishError::Closed)));
    assert!(node.publisher::<StringMessage>("/u").create().is_err());
    let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
    assert_eq!(client.list().expect("an answer"), []);
    daemon.stop();
    assert_eq!(folder.files(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_full_queue_is_reported_and_the_gap_counted() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let node = node(&folder, "both");
    let images = node.publisher::<ArrayMessage>("/t").queue(2).create().expect("it binds");
    let mut seen = node.subscriber::<ArrayMessage>("/t").queue(2).create().expect("a subscriber");
    connect(&mut seen, &images, 1);
    // The reader does not read: queues and kernel buffers fill up.
    let data = vec![0_u8; 1 << 20];
    let message = ArrayMessage {
        data: ArrayView::from_slice(&data, &[data.len()]).expect("it fits"),
        name: "",
        frame_id: "",
    };
    let mut congested = 0;
    for _ in 0..100 {
        let published = images.publish(&message).expect("it is published");
        congested += u64::from(published == Published::Congested);
    }
    assert!(congested > 0);
    assert_eq!(images.stats().congested, congested);
    // Reads what is left, and then one that comes after the gap.
    while seen.recv_timeout(Duration::from_millis(200)).expect("no error").is_some() {}
    let before = seen.stats();
    assert!(before.received < 100);
    wait_until("a message comes after the gap", || {
        images.publish(&message).expect("it is published");
        seen.recv_timeout(Duration::from_millis(50)).expect("no error").is_some()
    });
    while seen.recv_timeout(Duration::from_millis(200)).expect("no error").is_some() {}
    let stats = seen.stats();
    assert_eq!(stats.received + stats.lost, images.stats().published);
}
