//! Frames as they are, with and without a graph.

use std::sync::Arc;
use std::time::Duration;

use cortex_std::raw::{RawOptions, RawPublisher, RawSubscriber};
use cortex_std::wire::{self, Header, Message, StringMessage};
use cortex_std::{CreateError, Published, Registration, StopToken, WaitError};
use cortex_tests::graph::{Folder, assert_nothing_is_left, daemon, node};
use cortex_tests::{DEADLINE, wait_until};

fn connected(folder: &Folder, prefixes: &[&[u8]]) -> (RawPublisher, RawSubscriber) {
    let options = RawOptions::default().queue(1000);
    let publisher = RawPublisher::bind_with(&folder.address("raw"), &options).expect("it binds");
    let mut subscriber = RawSubscriber::connect(publisher.address()).expect("a subscriber");
    for prefix in prefixes {
        subscriber.subscribe(prefix).expect("it subscribes");
    }
    publisher.blocking_wait_for_subscribers(prefixes.len(), DEADLINE).expect("they subscribe");
    (publisher, subscriber)
}

#[test]
fn a_raw_subscriber_gets_what_begins_with_a_prefix_and_nothing_else() {
    let folder = Folder::new();
    let (publisher, mut subscriber) = connected(&folder, &[b"telemetry/", b"cam/"]);
    for topic in ["telemetry/arm", "log", "cam/left", "camera", "telemetry/"] {
        let sent = publisher.send(&[topic.as_bytes(), b"", b"payload"]).expect("it is sent");
        assert_eq!(sent, Published::Sent);
    }
    for topic in ["telemetry/arm", "cam/left", "telemetry/"] {
        let message = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert_eq!(message.frames().collect::<Vec<_>>(), [topic.as_bytes(), b"", b"payload"]);
        assert_eq!((message.count(), message.len()), (3, topic.len() + 7));
    }
    subscriber.unsubscribe(b"cam/").expect("it was subscribed");
    wait_until("one subscription is left", || publisher.subscriber_count() == 1);
    publisher.send(&[b"cam/left"]).expect("it is sent");
    publisher.send(&[b"telemetry/end"]).expect("it is sent");
    let message = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(message.frame(0), Some(&b"telemetry/end"[..]));
}

#[test]
fn the_last_frame_of_an_owner_is_not_copied_and_the_owner_is_released() {
    let folder = Folder::new();
    let (publisher, mut subscriber) = connected(&folder, &[b""]);
    let owner = Arc::new(vec![7_u8; 100_000]);
    let sent = publisher.send_from(&[b"t", b"head"], Arc::clone(&owner), |owner| owner);
    assert_eq!(sent.expect("it is sent"), Published::Sent);
    let message = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(message.frame(1), Some(&b"head"[..]));
    assert_eq!(message.frame(2), Some(&owner[..]));
    wait_until("the owner is let go", || {
        publisher.subscriber_count() == 1 && Arc::strong_count(&owner) == 1
    });
}

#[test]
fn one_raw_subscriber_reads_several_publishers() {
    let folder = Folder::new();
    let [first, second] = ["first", "second"]
        .map(|name| RawPublisher::bind(&folder.address(name)).expect("it binds"));
    let mut subscriber = RawSubscriber::connect(first.address()).expect("a subscriber");
    subscriber.connect_also(second.address()).expect("it connects");
    subscriber.subscribe(b"").expect("it subscribes");
    for publisher in [&first, &second] {
        publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("they subscribe");
        publisher.send(&[publisher.address().as_bytes()]).expect("it is sent");
        let message = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert_eq!(message.frame(0), Some(publisher.address().as_bytes()));
    }
    subscriber.disconnect(first.address()).expect("it was connected");
    wait_until("it has left the first", || {
        // libzmq releases the owner within a call to the socket.
        let _ = subscriber.recv_timeout(Duration::from_millis(1)).expect("no error");
        first.subscriber_count() == 0
    });
    assert_eq!(second.subscriber_count(), 1);
}

#[test]
fn a_stop_token_ends_a_raw_receive_and_a_deadline_does() {
    let folder = Folder::new();
    let (_publisher, mut subscriber) = connected(&folder, &[b""]);
    assert!(subscriber.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
    let stop = StopToken::new().expect("a token");
    let stopper = stop.clone();
    let reader = std::thread::spawn(move || subscriber.recv_unless(&stop).expect("no error"));
    stopper.stop();
    assert!(reader.join().expect("it ends").is_none());
}

#[tokio::test]
async fn a_raw_subscriber_can_be_awaited() {
    let folder = Folder::new();
    let (publisher, mut subscriber) = connected(&folder, &[b""]);
    let reader = tokio::spawn(async move {
        let mut numbers = Vec::new();
        while numbers.len() < 100 {
            let message = subscriber.recv().await.expect("no error");
            numbers.push(u32::from_le_bytes(message.frame(0).unwrap().try_into().unwrap()));
        }
        numbers
    });
    for number in 0..100_u32 {
        publisher.send(&[&number.to_le_bytes()]).expect("it is sent");
        tokio::task::yield_now().await;
    }
    let numbers = tokio::time::timeout(DEADLINE, reader).await.expect("in time").expect("it ends");
    assert!(numbers.into_iter().eq(0..100));
}

#[test]
fn a_node_registers_a_raw_publisher_and_closes_it() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let bridge = node(&folder, "bridge");
    let fingerprint = StringMessage::FINGERPRINT;
    let raw = bridge.raw_publisher("/t", "StringMessage", fingerprint).expect("it binds");
    assert!(matches!(
        bridge.raw_publisher("/t", "StringMessage", fingerprint),
        Err(CreateError::Endpoint(_))
    ));
    wait_until("it is registered", || raw.registration() == Some(Registration::Registered));

    let reader = node(&folder, "reader");
    let mut seen = reader.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    let mut tap = RawSubscriber::connect(raw.address()).expect("a subscriber");
    tap.subscribe(b"/t").expect("it subscribes");
    wait_until("both are there", || {
        let _ = seen.recv_timeout(Duration::from_millis(1)).expect("no error");
        raw.subscriber_count() == 2
    });
    let header = Header::of::<StringMessage>(12, 34).encode();
    let mut metadata = [0_u8; 64];
    let mut buffers = wire::heapless::Vec::<&[u8], 1>::new();
    let metadata = wire::encode(&StringMessage { data: "hello" }, &mut metadata, &mut buffers)
        .expect("it fits");
    raw.send(&[b"/t", &header, metadata]).expect("it is sent");

    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!((sample.header().timestamp_ns, sample.header().sequence), (12, 34));
    assert_eq!(sample.message().expect("it was checked").data, "hello");
    let tapped = tap.recv_timeout(DEADLINE).expect("no error").expect("in time");
    let payload = tapped.payload();
    let message = wire::decode::<StringMessage>(&payload).expect("it is one");
    assert_eq!(message.data, "hello");

    drop((bridge, reader));
    assert!(raw.send(&[b"/t"]).is_err());
    assert_eq!(raw.blocking_wait_for_subscribers(1, DEADLINE), Err(WaitError::Closed));
    assert_nothing_is_left(&folder, daemon);
}
