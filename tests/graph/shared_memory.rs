//! Long arrays in shared memory between nodes of one machine.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use cortex_std::raw::{RawOptions, RawPublisher, RawSubscriber};
use cortex_std::wire::{ArrayMessage, ArrayView, MapOf, MultiArrayMessage};
use cortex_std::{
    Node, PublishError, Published, Publisher, Queue, Sample, SharedStats, Subscriber, Transport,
};
use cortex_tests::graph::{Folder, connect, daemon};
use cortex_tests::{DEADLINE, python, wait_until};

use crate::{is_alone, run_alone_with};

/// Arrays from this length on are lent.
const LENT: usize = 64 * 1024;

type Frames = Publisher<ArrayMessage<'static>>;
type Reader = Subscriber<ArrayMessage<'static>>;

fn node(folder: &Folder, name: &str, shares: Option<bool>) -> Node {
    let node = Node::builder(name).discovery(&folder.discovery()).transport(Transport::Local);
    let node = match shares {
        Some(shares) => node.shared_memory(shares),
        None => node,
    };
    node.create().expect("a node")
}

/// Two nodes that share memory, whatever the environment says.
fn nodes(folder: &Folder) -> (Node, Node) {
    (node(folder, "talker", Some(true)), node(folder, "listener", Some(true)))
}

fn frames(node: &Node) -> Frames {
    node.publisher::<ArrayMessage>("/frames").queue(0).create().expect("it binds")
}

fn reader(node: &Node, queue: impl Into<Queue>) -> Reader {
    node.subscriber::<ArrayMessage>("/frames").queue(queue).create().expect("it follows")
}

/// Bytes that differ at every place and for every number.
fn pattern(number: u64, len: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn message(data: ArrayView<'_>) -> ArrayMessage<'_> {
    ArrayMessage { data, name: "frame", frame_id: "camera" }
}

fn array(bytes: &[u8]) -> ArrayView<'_> {
    ArrayView::from_slice(bytes, &[bytes.len()]).expect("it fits")
}

fn publish(publisher: &Frames, bytes: &[u8]) -> Result<Published, PublishError> {
    publisher.publish(&message(array(bytes)))
}

fn receive(reader: &mut Reader) -> Sample<ArrayMessage<'static>> {
    reader.recv_timeout(DEADLINE).expect("no error").expect("in time")
}

fn bytes<'s>(sample: &'s Sample<ArrayMessage<'static>>) -> &'s [u8] {
    sample.message().expect("it was checked").data.data()
}

#[track_caller]
fn expect(sample: &Sample<ArrayMessage<'static>>, expected: &[u8]) {
    assert!(bytes(sample) == expected, "other bytes");
}

#[track_caller]
fn wait_until_returned(stats: impl Fn() -> SharedStats) {
    wait_until("every array is returned", || stats().held == 0 && stats().held_bytes == 0);
}

#[test]
fn a_loan_a_copy_and_bytes_of_an_owner_arrive_equal_and_are_returned() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (talker, listener) = nodes(&folder);
    let publisher = frames(&talker);
    let mut seen = reader(&listener, 10);
    connect(&mut seen, &publisher, 1);
    let shared = || publisher.stats().shared;
    for round in 0..5 {
        let expected = pattern(round, 1_000_000);
        let mut loan = publisher.loan::<u8>(&[1_000_000]).expect("memory");
        loan.copy_from_slice(&expected);
        let address = loan.as_ptr().addr();
        loan.publish(message).expect("it is published");
        publish(&publisher, &expected).expect("it is published");
        let owner = Arc::new(expected.clone());
        publisher.publish_from(owner, |owner| message(array(owner))).expect("it is published");
        let samples = [(); 3].map(|()| receive(&mut seen));
        samples.iter().for_each(|sample| expect(sample, &expected));
        assert_ne!(bytes(&samples[0]).as_ptr().addr(), address, "mapped to read elsewhere");
        let stats = shared();
        assert_eq!((stats.lent, stats.through_socket), (3 * (round + 1), 0));
        assert_eq!((stats.held, stats.held_bytes), (3, 3_000_000));
        drop(samples);
        wait_until_returned(shared);
    }
}

#[test]
fn arrays_are_lent_from_64_kib_on_and_short_ones_beside_them_are_not() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (talker, listener) = nodes(&folder);
    let publisher = talker.publisher::<MultiArrayMessage>("/arrays").create().expect("it binds");
    let mut seen =
        listener.subscriber::<MultiArrayMessage>("/arrays").create().expect("it follows");
    connect(&mut seen, &publisher, 1);
    let mut lent = 0;
    for lens in [
        &[LENT - 1][..],
        &[LENT],
        &[LENT + 1],
        &[0, LENT, 1, 3 * LENT, LENT - 1, 0, 1_000_003],
        // More than are lent of one message.
        &[LENT; 70],
    ] {
        let arrays: Vec<_> = lens.iter().zip(1..).map(|(len, i)| pattern(i, *len)).collect();
        let names: Vec<_> = (0..lens.len()).map(|index| format!("{index}")).collect();
        let pairs: Vec<_> =
            names.iter().zip(&arrays).map(|(name, bytes)| (&**name, array(bytes))).collect();
        let sent = MultiArrayMessage { arrays: MapOf::from(&pairs[..]), frame_id: "" };
        assert_eq!(publisher.publish(&sent).expect("it is published"), Published::Sent);
        let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
        let received = sample.message().expect("it was checked").arrays;
        assert_eq!(received.len(), arrays.len());
        for ((_, view), expected) in received.iter().zip(&arrays) {
            assert!(view.data() == expected, "other bytes of {} in {lens:?}", expected.len());
        }
        lent += lens.iter().filter(|len| **len >= LENT).count().min(16) as u64;
        let stats = publisher.stats().shared;
        assert_eq!((stats.lent, stats.through_socket), (lent, 0), "{lens:?}");
    }
    wait_until_returned(|| publisher.stats().shared);
}

#[test]
fn python_gets_every_frame_whole_beside_a_subscriber_that_maps_them() {
    const COUNT: u64 = 20;
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (talker, listener) = nodes(&folder);
    let publisher = frames(&talker);
    let mut seen = reader(&listener, 0);
    connect(&mut seen, &publisher, 1);
    let discovery = folder.discovery();
    let arguments = "--topic /frames --message ArrayMessage --digest --count";
    let count = COUNT.to_string();
    let more = [&*count, "--discovery", &discovery];
    let mut peer = python::peer("subscriber.py", arguments.split(' ').chain(more));
    wait_until("both subscribe", || publisher.subscriber_count() == 2);
    let mut digests = Vec::new();
    for number in 0..COUNT {
        let expected = pattern(number % 2, 500_000);
        if number.is_multiple_of(3) {
            let mut loan = publisher.loan::<u8>(&[expected.len()]).expect("memory");
            loan.copy_from_slice(&expected);
            loan.publish(message).expect("it is published");
        } else {
            publish(&publisher, &expected).expect("it is published");
        }
        expect(&receive(&mut seen), &expected);
        let event = peer.expect_event("message");
        assert_eq!(event["sequence"], number);
        digests.push(event["fields"][0]["value"].to_string());
    }
    assert!(digests.iter().enumerate().all(|(number, digest)| *digest == digests[number % 2]));
    assert_ne!(digests[0], digests[1]);
    assert_eq!(publisher.stats().shared.lent, COUNT, "to one of two");
    peer.expect_event("done");
}

#[test]
fn nothing_is_lent_where_one_side_does_not_share_memory() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    for (publishing, subscribing) in [(false, true), (true, false), (false, false)] {
        let talker = node(&folder, "talker", Some(publishing));
        let listener = node(&folder, "listener", Some(subscribing));
        let publisher = frames(&talker);
        let mut seen = reader(&listener, 10);
        connect(&mut seen, &publisher, 1);
        expect_frames(&publisher, &mut seen);
        assert_eq!(publisher.stats().shared, SharedStats::default());
    }
}

fn expect_frames(publisher: &Frames, seen: &mut Reader) {
    for number in 0..3 {
        let expected = pattern(number, 300_000);
        let mut loan = publisher.loan::<u8>(&[expected.len()]).expect("memory");
        loan.copy_from_slice(&expected);
        loan.publish(message).expect("it is published");
        publish(publisher, &expected).expect("it is published");
        expect(&receive(seen), &expected);
        expect(&receive(seen), &expected);
    }
}

#[test]
fn the_environment_turns_shared_memory_off() {
    if !is_alone() {
        return run_alone_with(
            "shared_memory::the_environment_turns_shared_memory_off",
            [("CORTEX_SHARED_MEMORY", "off")],
        );
    }
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (talker, listener) = (node(&folder, "talker", None), node(&folder, "listener", None));
    let publisher = frames(&talker);
    let mut seen = reader(&listener, 10);
    connect(&mut seen, &publisher, 1);
    expect_frames(&publisher, &mut seen);
    assert_eq!(publisher.stats().shared, SharedStats::default());
    assert!(!maps().contains("memfd:cortex"));
}

fn maps() -> String {
    std::fs::read_to_string("/proc/self/maps").expect("it is ours")
}

#[test]
fn a_sample_reads_its_bytes_after_its_subscriber_and_its_node_are_gone() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let talker = node(&folder, "talker", Some(true));
    let publisher = frames(&talker);
    let mut kept = Vec::new();
    for round in 0..3 {
        let listener = node(&folder, "listener", Some(true));
        let mut seen = reader(&listener, 10);
        connect(&mut seen, &publisher, 1);
        for number in 0..4 {
            publish(&publisher, &pattern(10 * round + number, 200_000)).expect("published");
            kept.push((10 * round + number, receive(&mut seen)));
        }
        drop(seen);
        drop(listener);
        // The publisher notices, although samples are kept, and does not wait for them.
        wait_until("it has left", || publisher.subscriber_count() == 0);
        wait_until_returned(|| publisher.stats().shared);
    }
    // New frames do not take the memory of those that are kept.
    let listener = node(&folder, "listener", Some(true));
    let mut seen = reader(&listener, 10);
    connect(&mut seen, &publisher, 1);
    for number in 100..150 {
        let mut loan = publisher.loan::<u8>(&[200_000]).expect("memory");
        loan.copy_from_slice(&pattern(number, 200_000));
        loan.publish(message).expect("it is published");
        publish(&publisher, &pattern(number, 200_000)).expect("it is published");
        expect(&receive(&mut seen), &pattern(number, 200_000));
        expect(&receive(&mut seen), &pattern(number, 200_000));
    }
    kept.iter().for_each(|(number, sample)| expect(sample, &pattern(*number, 200_000)));
    drop(publisher);
    drop(talker);
    kept.iter().for_each(|(number, sample)| expect(sample, &pattern(*number, 200_000)));
}

#[test]
fn a_raw_message_reads_its_bytes_after_its_subscriber_has_disconnected() {
    let folder = Folder::new();
    let options = RawOptions::default().transport(Transport::Local);
    let publisher = RawPublisher::bind_with(&folder.address("raw"), &options).expect("it binds");
    let mut reader =
        RawSubscriber::with_queue(10).expect("a subscriber").transport(Transport::Local);
    reader.subscribe(b"/t").expect("it subscribes");
    let mut kept = Vec::new();
    for number in 0..10 {
        reader.connect_also(publisher.address()).expect("it connects");
        publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
        let send = |number| publisher.send(&[b"/t", b"", b"", &pattern(number, 100_000)]);
        send(number).expect("it is sent");
        kept.push(reader.recv_timeout(DEADLINE).expect("no error").expect("in time"));
        reader.disconnect(publisher.address()).expect("it was connected");
        wait_until("it is gone", || publisher.subscriber_count() == 0);
    }
    assert_eq!(publisher.stats().shared.lent, 10);
    for (message, number) in kept.iter().zip(0..) {
        assert!(message.frame(3) == Some(&pattern(number, 100_000)), "other bytes of {number}");
    }
}

#[test]
fn a_long_latched_message_reaches_a_late_subscriber() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (talker, listener) = nodes(&folder);
    let publisher = talker.publisher::<ArrayMessage>("/frames").latched().create();
    let publisher = publisher.expect("it binds");
    let expected = pattern(1, 2_000_000);
    let mut loan = publisher.loan::<u8>(&[expected.len()]).expect("memory");
    loan.copy_from_slice(&expected);
    loan.publish(message).expect("it is published");
    for _ in 0..3 {
        let mut seen = reader(&listener, 10);
        expect(&receive(&mut seen), &expected);
    }
    wait_until_returned(|| publisher.stats().shared);
}

#[test]
fn queues_that_overwrite_give_back_what_they_drop() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (talker, listener) = nodes(&folder);
    let publisher = frames(&talker);
    for (waiting, queue) in [(1, Queue::Latest), (3, Queue::KeepNewest(3))] {
        let mut seen = reader(&listener, queue);
        wait_until("it subscribes", || publisher.subscriber_count() == 1);
        let before = publisher.stats().shared.lent;
        for number in 0..200 {
            publish(&publisher, &pattern(number, LENT)).expect("it is published");
            // None goes through the socket as long as the subscriber's thread keeps up.
            wait_until("it keeps up", || publisher.stats().shared.held <= 4);
        }
        assert_eq!(publisher.stats().shared.lent - before, 200);
        wait_until("the last ones wait", || seen.stats().overwritten == 200 - waiting);
        let mut last = receive(&mut seen);
        while let Some(sample) = seen.try_recv().expect("no error") {
            last = sample;
        }
        expect(&last, &pattern(199, LENT));
        drop(last);
        wait_until_returned(|| publisher.stats().shared);
        drop(seen);
        wait_until("it is gone", || publisher.subscriber_count() == 0);
    }
}

#[test]
fn two_publishers_of_one_topic_lend_to_one_subscriber() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let nodes = ["a", "b"].map(|name| node(&folder, name, Some(true)));
    let publishers = nodes.each_ref().map(|node| {
        node.publisher::<ArrayMessage>("/frames").queue(0).shared().create().expect("it binds")
    });
    let listener = node(&folder, "listener", Some(true));
    let mut seen = reader(&listener, 0);
    for publisher in &publishers {
        connect(&mut seen, publisher, 1);
    }
    let mut kept = Vec::new();
    for number in 0..40 {
        let expected = pattern(number, LENT + 8 * number as usize);
        publish(&publishers[number as usize % 2], &expected).expect("it is published");
        let sample = receive(&mut seen);
        expect(&sample, &expected);
        kept.push((expected, sample));
        if number.is_multiple_of(5) {
            kept.drain(..kept.len() / 2);
        }
    }
    kept.iter().for_each(|(expected, sample)| expect(sample, expected));
    assert!(publishers.iter().all(|publisher| publisher.stats().shared.lent == 20));
    drop(kept);
    publishers.iter().for_each(|publisher| wait_until_returned(|| publisher.stats().shared));
}

#[test]
fn what_a_subscriber_that_keeps_much_does_not_get_by_lease_goes_through_its_socket() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (talker, listener) = nodes(&folder);
    let publisher = frames(&talker);
    let (mut hoarder, mut healthy) = (reader(&listener, 0), reader(&listener, 0));
    connect(&mut hoarder, &publisher, 1);
    connect(&mut healthy, &publisher, 2);
    let mut kept = Vec::new();
    for number in 0..100 {
        let expected = pattern(number, LENT);
        publish(&publisher, &expected).expect("it is published");
        expect(&receive(&mut healthy), &expected);
        kept.push(receive(&mut hoarder));
        wait_until("the healthy one has returned it", || publisher.stats().shared.held <= 64);
    }
    kept.iter().zip(0..).for_each(|(sample, number)| expect(sample, &pattern(number, LENT)));
    let stats = publisher.stats();
    assert_eq!((stats.shared.lent, stats.shared.through_socket), (100 + 64, 100 - 64));
    assert_eq!(stats.congested, 0);
    drop(kept);
    wait_until_returned(|| publisher.stats().shared);
}

#[test]
fn a_publish_that_may_block_waits_until_a_sample_is_dropped() {
    const LEN: usize = 4 << 20;
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (talker, listener) = nodes(&folder);
    let publisher = talker.publisher::<ArrayMessage>("/frames").queue(0).block_for(DEADLINE);
    let publisher = publisher.create().expect("it binds");
    let mut seen = reader(&listener, 0);
    connect(&mut seen, &publisher, 1);
    let expected = pattern(1, LEN);
    std::thread::scope(|scope| {
        let (sender, sent) = channel();
        let (publisher, expected) = (&publisher, &expected);
        scope.spawn(move || {
            for number in 0..9 {
                publish(publisher, expected).expect("it is published");
                sender.send(number).expect("it is awaited");
            }
        });
        let mut kept: Vec<_> = (0..6).map(|_| receive(&mut seen)).collect();
        (0..6).for_each(|number| assert_eq!(sent.recv_timeout(DEADLINE), Ok(number)));
        for number in 6..8 {
            assert!(sent.recv_timeout(Duration::from_millis(100)).is_err(), "it waits");
            kept.remove(0);
            assert_eq!(sent.recv_timeout(DEADLINE), Ok(number));
            kept.push(receive(&mut seen));
        }
        kept.iter().for_each(|sample| expect(sample, expected));
        // A subscriber that leaves is waited for no longer, although its samples are kept.
        assert!(sent.recv_timeout(Duration::from_millis(100)).is_err(), "it waits");
        drop(seen);
        assert_eq!(sent.recv_timeout(DEADLINE), Ok(8));
        kept.iter().for_each(|sample| expect(sample, expected));
    });
}

#[test]
fn a_publish_that_waits_for_memory_ends_with_the_node() {
    const LEN: usize = 4 << 20;
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let (talker, listener) = nodes(&folder);
    let publisher = talker.publisher::<ArrayMessage>("/frames").queue(0).block_for(DEADLINE);
    let publisher = publisher.create().expect("it binds");
    let mut seen = reader(&listener, 0);
    connect(&mut seen, &publisher, 1);
    let expected = pattern(1, LEN);
    std::thread::scope(|scope| {
        let (sender, sent) = channel();
        let (publisher, expected) = (&publisher, &expected);
        scope.spawn(move || {
            while let Ok(Published::Sent) = publish(publisher, expected) {
                sender.send(()).expect("it is awaited");
            }
        });
        let kept: Vec<_> = (0..6).map(|_| receive(&mut seen)).collect();
        (0..6).for_each(|_| sent.recv_timeout(DEADLINE).expect("it is published"));
        assert!(sent.recv_timeout(Duration::from_millis(100)).is_err(), "it waits");
        talker.handle().shutdown();
        // The message that waits may go through the socket. The thread ends, and its side of the channel.
        let ended =
            std::iter::repeat_with(|| sent.recv_timeout(DEADLINE / 2)).find_map(Result::err);
        assert_eq!(ended, Some(RecvTimeoutError::Disconnected));
        kept.iter().for_each(|sample| expect(sample, expected));
    });
}
