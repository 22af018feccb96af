//! Allocations of the library for each message: none on the thread that publishes or receives.
//!
//! The counting allocator is Rust's global one, on one thread at a time. libzmq is C and allocates with
//! malloc, for every frame of more than 33 bytes; that is not counted here.

use std::cell::Cell;
use std::sync::Arc;

use allocation_counter::measure;
use cortex_std::wire::{
    ArrayMessage, ArrayView, DictMessage, ImageMessage, Map, Message, PointCloudMessage,
    PoseMessage, StringMessage, Value,
};
use cortex_std::{Node, Published, Publisher, Queue, Subscriber};
use cortex_tests::graph::{Folder, connect, daemon, node};
use cortex_tests::{DEADLINE, wait_until};

/// Messages until all memory that is kept is there.
const WARMUP: u64 = 20;
const COUNT: u64 = 200;

/// A publisher and a subscriber of this type that are connected.
fn pair<M: Message + 'static>(node: &Node) -> (Publisher<M>, Subscriber<M>) {
    let publisher = node.publisher::<M>("/t").queue(1000).create().expect("it binds");
    let mut subscriber =
        node.subscriber::<M>("/t").queue(Queue::KeepOldest(1000)).create().expect("a subscriber");
    connect(&mut subscriber, &publisher, 1);
    (publisher, subscriber)
}

fn receive<M: Message + 'static>(subscriber: &mut Subscriber<M>) {
    let sample = subscriber.recv_timeout(DEADLINE).expect("no error").expect("it was sent");
    std::hint::black_box(&sample.message().expect("it was checked"));
}

/// Allocations of publishing so many messages, and of receiving each before the next.
fn allocations<M: Message + 'static>(publish: impl Fn(&Publisher<M>) -> Published) -> (u64, u64) {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let node = node(&folder, "both");
    let (publisher, mut subscriber) = pair::<M>(&node);
    let mut round = || {
        let published = measure(|| assert_eq!(publish(&publisher), Published::Sent));
        let received = measure(|| receive(&mut subscriber));
        (published.count_total, received.count_total)
    };
    for _ in 0..WARMUP {
        round();
    }
    (0..COUNT).map(|_| round()).fold(NONE, |sum, count| (sum.0 + count.0, sum.1 + count.1))
}

const NONE: (u64, u64) = (0, 0);

/// Allocations for the leases of large arrays in shared memory, which libzmq does not use: one for each
/// message.
fn leases() -> u64 {
    if std::env::var("CORTEX_TRANSPORT").as_deref() == Ok("zmq") { 0 } else { COUNT }
}

#[test]
fn text_is_published_and_received_without_an_allocation() {
    let count = allocations::<StringMessage>(|publisher| {
        publisher
            .publish(&StringMessage { data: "forty bytes of text, and some more of it" })
            .expect("sent")
    });
    assert_eq!(count, NONE);
}

#[test]
fn a_picture_costs_one_allocation_for_its_lease_and_none_to_receive() {
    let pixels = vec![0_u8; 480 * 640 * 3];
    let count = allocations::<ImageMessage>(|publisher| {
        let data = ArrayView::from_slice(&pixels, &[480, 640, 3]).expect("it fits");
        publisher.publish(&ImageMessage::new(data, "rgb8")).expect("sent")
    });
    assert_eq!(count, (leases(), 0));
}

#[test]
fn a_picture_of_less_than_64_kib_is_published_and_received_without_an_allocation() {
    let pixels = vec![0_u8; 120 * 160 * 3];
    let count = allocations::<ImageMessage>(|publisher| {
        let data = ArrayView::from_slice(&pixels, &[120, 160, 3]).expect("it fits");
        publisher.publish(&ImageMessage::new(data, "rgb8")).expect("sent")
    });
    assert_eq!(count, NONE);
}

#[test]
fn messages_of_several_arrays_are_published_and_received_without_an_allocation() {
    let numbers = [0.5_f64; 4];
    let count = allocations::<PoseMessage>(|publisher| {
        let pose = PoseMessage {
            position: ArrayView::from_slice(&numbers[..3], &[3]).expect("it fits"),
            orientation: ArrayView::from_slice(&numbers, &[4]).expect("it fits"),
            frame_id: "map",
            child_frame_id: "base_link",
        };
        publisher.publish(&pose).expect("sent")
    });
    assert_eq!(count, NONE);
    let points = vec![0_f32; 3000];
    let count = allocations::<PointCloudMessage>(|publisher| {
        let triples = ArrayView::from_slice(&points, &[1000, 3]).expect("it fits");
        let cloud = PointCloudMessage {
            points: triples,
            colors: Some(triples),
            intensity: Some(ArrayView::from_slice(&points[..1000], &[1000]).expect("it fits")),
            normals: Some(triples),
            frame_id: "lidar",
        };
        publisher.publish(&cloud).expect("sent")
    });
    assert_eq!(count, NONE);
}

#[test]
fn nested_values_are_published_and_received_without_an_allocation() {
    let angles = [0.5_f64; 6];
    let count = allocations::<DictMessage>(|publisher| {
        let vector = Value::from(ArrayView::from_slice(&angles, &[6]).expect("it fits"));
        let joints = [("position", vector), ("velocity", vector)];
        let pairs =
            [("name", Value::from("arm")), ("joints", Value::from(&joints[..])), ("last", vector)];
        publisher.publish(&DictMessage { data: Map::from(&pairs[..]) }).expect("sent")
    });
    assert_eq!(count, NONE);
}

#[test]
fn a_loan_costs_two_allocations_and_an_owner_one_more_than_a_copy() {
    let pixels = Arc::new(vec![0_u8; 100_000]);
    let (published, received) = allocations::<ArrayMessage>(|publisher| {
        let sent = publisher.publish_from(Arc::clone(&pixels), |pixels| ArrayMessage {
            data: ArrayView::from_slice(pixels, &[100_000]).expect("it fits"),
            name: "",
            frame_id: "",
        });
        sent.expect("sent")
    });
    // One for the owner and the view into it.
    assert_eq!((published, received), (COUNT + leases(), 0));
    let (published, received) = allocations::<ArrayMessage>(|publisher| {
        let loan = publisher.loan::<u8>(&[100_000]).expect("there is memory");
        let sent = loan.publish(|data| ArrayMessage { data, name: "", frame_id: "" });
        sent.expect("sent")
    });
    // A further block where libzmq has sent the last one but not released it yet.
    let blocks = published.saturating_sub(2 * COUNT);
    assert!(blocks < COUNT / 4, "{published} allocations for {COUNT} loans");
    assert_eq!(received, 0);
}

/// Allocations of a task that receives so many messages.
fn allocations_of_task(count: u64) -> u64 {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let node = node(&folder, "both");
    let (publisher, subscriber) = pair::<StringMessage>(&node);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (seen, done) = (Cell::new(0), tokio::sync::Notify::new());
    let info = measure(|| {
        runtime.block_on(async {
            let receiving = subscriber.for_each(async |_message, _header| {
                seen.set(seen.get() + 1);
                match seen.get() {
                    last if last == count => done.notify_one(),
                    // The next one, so that it is waited for each time.
                    _ => assert_eq!(publish_text(&publisher), Published::Sent),
                }
            });
            assert_eq!(publish_text(&publisher), Published::Sent);
            tokio::select! {
                _ = receiving => panic!("it ended"),
                () = done.notified() => {}
            }
        });
    });
    info.count_total
}

fn publish_text(publisher: &Publisher<StringMessage<'static>>) -> Published {
    publisher
        .publish(&StringMessage { data: "forty bytes of text, and some more of it" })
        .expect("sent")
}

#[test]
fn a_task_that_waits_for_messages_allocates_nothing_for_each() {
    let (few, many) = (allocations_of_task(WARMUP), allocations_of_task(WARMUP + COUNT));
    println!("{few} and {many}");
    // Beginning allocates; each further message does not.
    assert!(many < few + COUNT / 2, "{few} for {WARMUP} messages, {many} for {COUNT} more");
}

#[test]
fn keeping_samples_allocates_nothing_per_message() {
    let note = StringMessage { data: "note" };
    let folder = Folder::new();
    let node = node(&folder, "both");
    let notes = node.publisher::<StringMessage>("/t").queue(0).create().expect("it binds");
    let allocations = [0, 100].map(|samples| {
        let mut seen = node
            .subscriber::<StringMessage>("/t")
            .queue(0)
            .trace_latency(samples)
            .create()
            .expect("a subscriber");
        connect(&mut seen, &notes, 1);
        let mut receive = |count| {
            for _ in 0..count {
                assert_eq!(notes.publish(&note).expect("it is published"), Published::Sent);
            }
            let measured = measure(|| {
                for _ in 0..count {
                    assert!(seen.recv_timeout(DEADLINE).expect("no error").is_some());
                }
            });
            measured.count_total
        };
        receive(10);
        let allocations = receive(200);
        drop(seen);
        wait_until("the subscriber has left", || notes.subscriber_count() == 0);
        allocations
    });
    assert_eq!(allocations[0], allocations[1]);
}
