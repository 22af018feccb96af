//! Invalid messages of peers: counted by reason, and the subscriber continues.

use std::time::Duration;

use cortex_std::discovery::{Client, Daemon, Topic};
use cortex_std::wire::discovery::RequestExt;
use cortex_std::wire::{ArrayMessage, ArrayView, Header, Message, StringMessage, encode};
use cortex_std::{Node, Published, Publisher, Registration, Rejected};
use cortex_tests::graph::{Folder, assert_nothing_is_left, daemon, guest, registered};
use cortex_tests::{DEADLINE, wait_until};

/// A plain libzmq publisher that sends any frames.
struct LibzmqPublisher {
    socket: zmq::Socket,
    topic: &'static str,
}

impl LibzmqPublisher {
    /// Binds, and registers as the publisher of a topic of type `M`.
    fn new<M: Message>(folder: &Folder, topic: &'static str) -> Self {
        let socket = zmq::Context::new().socket(zmq::XPUB).expect("a socket");
        let address = folder.address("foreign.sock");
        socket.bind(&address).expect("it binds");
        let mut client = Client::connect(&folder.discovery(), DEADLINE).expect("a client");
        let info = Topic {
            name: topic.into(),
            address,
            message_type: cortex_std::wire::TypeInfo::of::<M>().name().into(),
            fingerprint: M::FINGERPRINT,
            publisher_node: "foreign".into(),
        };
        client.register(&info, RequestExt::default()).expect("it is free");
        Self { socket, topic }
    }

    fn wait_for_subscriber(&self) {
        self.socket.set_rcvtimeo(30_000).expect("a time");
        let event = self.socket.recv_bytes(0).expect("a subscription");
        assert_eq!(event.first(), Some(&1));
    }

    fn send(&self, frames: &[&[u8]]) {
        let mut parts = vec![self.topic.as_bytes()];
        parts.extend_from_slice(frames);
        self.socket.send_multipart(parts, 0).expect("it is sent");
    }
}

fn header<M: Message>(sequence: u64) -> [u8; Header::LEN] {
    Header { fingerprint: M::FINGERPRINT, timestamp_ns: 1, sequence }.encode()
}

#[test]
fn bad_messages_are_counted_by_reason_and_the_next_good_one_arrives() {
    let folder = Folder::new();
    let daemon = Daemon::bind(&folder.discovery()).expect("it binds").spawn().expect("it starts");
    let foreign = LibzmqPublisher::new::<ArrayMessage<'_>>(&folder, "/t");
    let node = Node::builder("victim").discovery(daemon.address()).create().expect("a node");
    let mut seen = node.subscriber::<ArrayMessage>("/t").queue(0).create().expect("a subscriber");
    wait_until("it is connected", || {
        assert!(seen.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
        seen.publisher_address().is_some()
    });
    foreign.wait_for_subscriber();

    let items = [1_u8, 2, 3, 4];
    let message = ArrayMessage {
        data: ArrayView::from_slice(&items, &[4]).expect("it fits"),
        name: "n",
        frame_id: "f",
    };
    let mut out = [0; 128];
    let mut buffers = Vec::new();
    let metadata = encode(&message, &mut out, &mut buffers).expect("it encodes");
    let good = header::<ArrayMessage<'_>>(0);

    // A header that is cut off, and none at all.
    foreign.send(&[&good[..23], metadata, &items]);
    foreign.send(&[]);
    // Another type.
    foreign.send(&[&header::<StringMessage<'_>>(0), metadata, &items]);
    // Shapes that do not fit their buffer, and a buffer that is not there.
    foreign.send(&[&good, metadata, &items[..3]]);
    foreign.send(&[&header::<ArrayMessage<'_>>(1), metadata, &[0; 5]]);
    foreign.send(&[&header::<ArrayMessage<'_>>(2), metadata]);
    // Two frames of garbage behind the topic; and one that is no blob.
    foreign.send(&[b"garbage", b"and more garbage"]);
    foreign.send(&[b"garbage that is longer than a header would be, but is no blob"]);
    // Metadata that is cut off, or has something behind it.
    foreign.send(&[&header::<ArrayMessage<'_>>(3), &metadata[..metadata.len() - 1], &items]);
    let longer = [metadata, &[0xc0]].concat();
    foreign.send(&[&header::<ArrayMessage<'_>>(4), &longer, &items]);
    // And a good one, with a buffer that no descriptor names.
    foreign.send(&[&header::<ArrayMessage<'_>>(5), metadata, &items, b"unnamed"]);

    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(sample.message(), Ok(message));
    let stats = seen.stats();
    let Rejected { topic, header, fingerprint, buffer, metadata, .. } = stats.rejected;
    assert_eq!((topic, header, fingerprint, buffer, metadata), (0, 3, 2, 3, 2));
    assert_eq!(stats.rejected.total(), 10);
    assert_eq!((stats.received, stats.lost), (1, 0));
}

#[test]
fn two_topics_of_which_one_is_the_prefix_of_the_other_never_mix() {
    let folder = Folder::new();
    let daemon = Daemon::bind(&folder.discovery()).expect("it binds").spawn().expect("it starts");
    let node = Node::builder("both").discovery(daemon.address()).create().expect("a node");
    let short = node.publisher::<StringMessage>("/t").create().expect("it binds");
    let long = node.publisher::<StringMessage>("/tother").create().expect("it binds");
    assert_ne!(short.address(), long.address());
    let mut on_short = node.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    let mut on_long = node.subscriber::<StringMessage>("/tother").create().expect("a subscriber");
    wait_until("both are connected", || {
        let pause = Duration::from_millis(1);
        assert!(on_short.recv_timeout(pause).expect("no error").is_none());
        assert!(on_long.recv_timeout(pause).expect("no error").is_none());
        short.subscriber_count() == 1 && long.subscriber_count() == 1
    });
    for _ in 0..3 {
        assert_eq!(long.publish(&StringMessage { data: "long" }).expect("sent"), Published::Sent);
        assert_eq!(short.publish(&StringMessage { data: "short" }).expect("sent"), Published::Sent);
    }
    for _ in 0..3 {
        let sample = on_short.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert_eq!(sample.message(), Ok(StringMessage { data: "short" }));
        let sample = on_long.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert_eq!(sample.message(), Ok(StringMessage { data: "long" }));
    }

    // A publisher that sends both through one socket: the other topic is counted, not delivered.
    let foreign = LibzmqPublisher::new::<StringMessage<'_>>(&folder, "/s");
    let mut seen = node.subscriber::<StringMessage>("/s").create().expect("a subscriber");
    wait_until("it is connected", || {
        assert!(seen.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
        seen.publisher_address().is_some()
    });
    foreign.wait_for_subscriber();
    let good = header::<StringMessage<'_>>(0);
    let other = LibzmqPublisher { topic: "/sother", ..foreign };
    other.send(&[&good, &[0x91, 0xa1, b'x']]);
    let foreign = LibzmqPublisher { topic: "/s", ..other };
    foreign.send(&[&good, &[0x91, 0xa1, b'y']]);
    let sample = seen.recv_timeout(DEADLINE).expect("no error").expect("in time");
    assert_eq!(sample.message(), Ok(StringMessage { data: "y" }));
    assert_eq!(seen.stats().rejected.topic, 1);
}

/// Waits until a subscriber that begins now receives from `notes`.
fn a_new_subscriber_receives(folder: &Folder, notes: &Publisher<StringMessage<'static>>) {
    let listener = guest(folder, "listener");
    let mut seen = listener.subscriber::<StringMessage>("/t").create().expect("a subscriber");
    wait_until("a new subscriber receives", || {
        let _ = notes.publish(&StringMessage { data: "hi" }).expect("no error");
        seen.recv_timeout(Duration::from_millis(10)).expect("no error").is_some()
    });
}

#[test]
fn a_publisher_whose_socket_files_were_deleted_binds_again() {
    let folder = Folder::new();
    let daemon = daemon(&folder);
    let talker = guest(&folder, "talker");
    let notes = registered(&talker);
    let topics = folder.path().join("topics");
    let files = || topics.read_dir().map_or(0, Iterator::count);
    assert_eq!(files(), 2);
    for file in topics.read_dir().expect("the folder") {
        std::fs::remove_file(file.expect("a file").path()).expect("it is deleted");
    }
    wait_until("both files are there", || files() == 2);
    a_new_subscriber_receives(&folder, &notes);
    // Only the socket.
    for file in topics.read_dir().expect("the folder") {
        let path = file.expect("a file").path();
        if path.extension().is_some_and(|extension| extension == "sock") {
            std::fs::remove_file(path).expect("it is deleted");
        }
    }
    wait_until("both files are there", || files() == 2);
    a_new_subscriber_receives(&folder, &notes);
    // The folder.
    std::fs::remove_dir_all(&topics).expect("it is deleted");
    wait_until("both files are there", || files() == 2);
    a_new_subscriber_receives(&folder, &notes);
    drop((notes, talker));
    assert_nothing_is_left(&folder, daemon);
}

#[test]
fn a_publisher_whose_address_another_one_took_reports_it() {
    let folder = Folder::new();
    let _daemon = daemon(&folder);
    let first = guest(&folder, "talker");
    let notes = registered(&first);
    let second = guest(&folder, "talker");
    std::fs::remove_dir_all(folder.path().join("topics")).expect("it is deleted");
    // The first one binds again within a second; before that the address is free.
    let taken = second.publisher::<StringMessage>("/t").create().expect("the address is free");
    wait_until("it is reported", || match notes.registration() {
        Registration::Refused(reason) => reason.contains("deleted") && reason.contains("end one"),
        _ => false,
    });
    // The address returns to the first with the end of the second.
    drop((taken, second));
    wait_until("it is registered", || notes.registration() == Registration::Registered);
    a_new_subscriber_receives(&folder, &notes);
}
