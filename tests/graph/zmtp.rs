//! The local transport with libzmq's sockets of any type, and with peers that send what no library sends.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use cortex_std::Transport;
use cortex_std::raw::{RawOptions, RawPublisher, RawSubscriber};
use cortex_tests::graph::Folder;
use cortex_tests::{DEADLINE, Program, Signal, python, wait_until};

const GREETING_LEN: usize = 64;

fn publisher(folder: &Folder, queue: u32) -> RawPublisher {
    let options = RawOptions::default().transport(Transport::Local).queue(queue);
    RawPublisher::bind_with(&folder.address("zmtp"), &options).expect("it binds")
}

fn subscriber(address: &str) -> RawSubscriber {
    let subscriber = RawSubscriber::with_queue(0).expect("a subscriber");
    let mut subscriber = subscriber.transport(Transport::Local);
    subscriber.subscribe(b"/t").expect("it subscribes");
    subscriber.connect_also(address).expect("it connects");
    subscriber
}

fn pyzmq(kind: &str, address: &str, more: &[&str]) -> Program {
    let arguments = ["--type", kind, "--address", address];
    let mut peer = python::peer("zmtp_peer.py", arguments.iter().chain(more));
    peer.expect_event("ready");
    peer
}

fn path(address: &str) -> &str {
    address.strip_prefix("ipc://").expect("an ipc address")
}

/// Sends numbered messages to a pyzmq peer.
fn send(publisher: &RawPublisher, numbers: std::ops::Range<u32>, len: usize) {
    let body: Vec<u8> = (0..len).map(|index| index as u8).collect();
    for number in numbers {
        publisher.send(&[b"/table", &number.to_be_bytes(), &body]).expect("it is sent");
    }
}

/// Receives the numbers of messages of a pyzmq peer.
fn receive(subscriber: &mut RawSubscriber, count: u32) -> Vec<u32> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        let message = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
        let frames: Vec<_> = message.frames().collect();
        let [topic, number, body] = frames[..] else { panic!("three frames") };
        assert_eq!(topic, b"/t");
        assert!(body.iter().enumerate().all(|(index, byte)| *byte == index as u8));
        numbers.push(u32::from_be_bytes(number.try_into().expect("four bytes")));
    }
    numbers
}

#[test]
fn pyzmq_subscribers_of_any_type_receive_every_message() {
    for kind in ["SUB", "XSUB"] {
        for size in [40, 300, 70_000] {
            let folder = Folder::new();
            let publisher = publisher(&folder, 0);
            let mut peer = pyzmq(kind, publisher.address(), &["--size", "70000"]);
            publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
            let count = 20_000_000_u32 / (size as u32 + 1000);
            peer.send_line(&count.to_string());
            send(&publisher, 0..count, size);
            let done = peer.expect_event("done");
            assert_eq!((&done["number"], &done["faults"]), (&count.into(), &0.into()), "{kind}");
            drop(peer);
            wait_until("it is gone", || publisher.subscriber_count() == 0);
        }
    }
}

#[test]
fn pyzmq_publishers_of_any_type_are_received_without_a_gap() {
    for kind in ["PUB", "XPUB"] {
        let folder = Folder::new();
        let address = folder.address("pyzmq");
        for size in ["40", "70000"] {
            let mut peer = pyzmq(kind, &address, &["--size", size]);
            let mut subscriber = subscriber(&address);
            if kind == "XPUB" {
                assert_eq!(peer.expect_event("subscription")["bytes"], "012f74");
            }
            // A PUB reports no subscription: it sends until one arrives.
            let mut first = Vec::new();
            wait_until("a message arrives", || {
                peer.send_line("1");
                peer.expect_event("done");
                let message = subscriber.recv_timeout(Duration::from_millis(50));
                first.extend(message.expect("no error"));
                !first.is_empty()
            });
            let number = first[0].frame(1).expect("a number").try_into().expect("four bytes");
            let first = u32::from_be_bytes(number) + 1;
            peer.send_line("2000");
            assert_eq!(peer.expect_event("done")["faults"], 0);
            let numbers = receive(&mut subscriber, 2000);
            assert!(numbers.into_iter().eq(first..first + 2000), "{kind} {size}");
        }
    }
}

#[test]
fn heartbeats_of_a_peer_are_answered_while_messages_flow_and_while_none_do() {
    let folder = Folder::new();
    // PING each 300 ms; a peer that does not answer for 1.5 s is disconnected.
    let heartbeat = ["--heartbeat", "300"];
    let publisher = publisher(&folder, 0);
    let mut reader = pyzmq("SUB", publisher.address(), &heartbeat);
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
    let address = folder.address("pyzmq");
    let mut writer = pyzmq("XPUB", &address, &heartbeat);
    let mut subscriber = subscriber(&address);
    writer.expect_event("subscription");
    for round in 0..2_u32 {
        // Idle for longer than the peers' timeouts, in a receive.
        assert!(subscriber.recv_timeout(Duration::from_millis(2000)).expect("no error").is_none());
        reader.send_line("1000");
        send(&publisher, round * 1000..(round + 1) * 1000, 40);
        assert_eq!(reader.expect_event("done")["faults"], 0);
        writer.send_line("1000");
        let numbers = receive(&mut subscriber, 1000);
        assert!(numbers.into_iter().eq(round * 1000..(round + 1) * 1000));
        assert_eq!(writer.expect_event("done")["faults"], 0);
    }
    // Busy for longer than a timeout.
    let begun = Instant::now();
    let mut number = 2000;
    while begun.elapsed() < Duration::from_millis(2000) {
        send(&publisher, number..number + 10, 40);
        number += 10;
        std::thread::sleep(Duration::from_millis(1));
    }
    reader.send_line(&(number - 2000).to_string());
    let done = reader.expect_event("done");
    assert_eq!((&done["number"], &done["faults"]), (&number.into(), &0.into()));
}

#[test]
fn a_stopped_pyzmq_subscriber_costs_its_queue_and_reads_on_when_it_continues() {
    let folder = Folder::new();
    let publisher = publisher(&folder, 5);
    let mut stopped = pyzmq("SUB", publisher.address(), &[]);
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
    stopped.signal(Signal::STOP);
    let mut healthy = subscriber(publisher.address());
    publisher.blocking_wait_for_subscribers(2, DEADLINE).expect("it subscribes");
    let body = vec![1; 100_000];
    for number in 0..300_u32 {
        publisher.send(&[b"/t", &number.to_be_bytes(), &body]).expect("it is sent");
        let message = healthy.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert_eq!(message.frame(1), Some(&number.to_be_bytes()[..]));
    }
    let peers = publisher.stats().peers;
    let peer = |pid| peers.iter().find(|peer| peer.pid == Some(pid)).expect("connected");
    let stuck = peer(stopped.id());
    assert!(stuck.lost.expect("known") > 200, "{stuck:?}");
    assert!(stuck.waiting.expect("known") <= 6, "{stuck:?}");
    assert!(stuck.waiting_bytes.expect("known") <= 6 * 100_100, "{stuck:?}");
    assert_eq!(peer(std::process::id()).lost, Some(0));
    stopped.signal(Signal::CONT);
    wait_until("it has read everything", || {
        publisher.stats().peers.iter().all(|peer| peer.waiting == Some(0))
    });
    assert_eq!(publisher.subscriber_count(), 2);
}

fn greeting(minor: u8) -> Vec<u8> {
    let mut bytes = vec![0; GREETING_LEN];
    bytes[0] = 0xff;
    bytes[9] = 0x7f;
    bytes[10] = 3;
    bytes[11] = minor;
    bytes[12..16].copy_from_slice(b"NULL");
    bytes
}

fn ready(socket_type: &[u8]) -> Vec<u8> {
    let len = 6 + 1 + 11 + 4 + socket_type.len() as u8;
    let name = b"\x05READY\x0bSocket-Type\0\0\0";
    [&[4, len][..], name, &[socket_type.len() as u8], socket_type].concat()
}

/// A peer that has sent its side of the handshake and then `rest`.
fn raw_peer(address: &str, minor: u8, socket_type: &[u8], rest: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(path(address)).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
    stream.write_all(&greeting(minor)).expect("it accepts");
    stream.write_all(&ready(socket_type)).expect("it accepts");
    // It may be disconnected meanwhile.
    let _ = stream.write_all(rest);
    stream
}

/// Skips the publisher's side of the handshake.
fn skip_handshake(stream: &mut UnixStream) {
    let mut bytes = [0; GREETING_LEN + 2];
    stream.read_exact(&mut bytes).expect("a greeting");
    let mut ready = vec![0; bytes[GREETING_LEN + 1].into()];
    stream.read_exact(&mut ready).expect("READY");
}

fn expect_bytes(stream: &mut UnixStream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).expect("in time");
    assert_eq!(bytes, expected);
}

/// Reads until the other side disconnects.
pub(crate) fn expect_end(stream: &mut UnixStream, what: &str) {
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
            Err(error) => panic!("{what}: still connected: {error}"),
        }
    }
}

#[test]
fn peers_of_zmtp_3_0_and_3_1_subscribe_by_messages_and_by_commands() {
    let folder = Folder::new();
    let publisher = publisher(&folder, 10);
    let address = publisher.address();
    for (minor, socket_type, subscribe, cancel) in [
        (0, &b"SUB"[..], &b"\x00\x03\x01/t"[..], &b"\x00\x03\x00/t"[..]),
        (0, b"XSUB", b"\x00\x02\x01/", b"\x00\x02\x00/"),
        (1, b"SUB", b"\x04\x0c\x09SUBSCRIBE/t", b"\x04\x09\x06CANCEL/t"),
        // A message is valid for a peer of 3.1 as well, as libzmq's XSUB sends it.
        (1, b"XSUB", b"\x00\x03\x01/t", b"\x00\x03\x00/t"),
    ] {
        let mut peer = raw_peer(address, minor, socket_type, subscribe);
        publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
        skip_handshake(&mut peer);
        for topic in [&b"other"[..], b"/table", b"", b"/t"] {
            publisher.send(&[topic, b"x"]).expect("it is sent");
        }
        expect_bytes(&mut peer, b"\x01\x06/table\x00\x01x\x01\x02/t\x00\x01x");
        peer.write_all(cancel).expect("it accepts");
        wait_until("it unsubscribes", || publisher.subscriber_count() == 0);
        publisher.send(&[b"/t", b"y"]).expect("it is sent");
        peer.write_all(b"\x04\x08\x04PING\0\0a").expect("it accepts");
        expect_bytes(&mut peer, b"\x04\x06\x04PONGa");
    }
}

#[test]
fn a_subscriber_speaks_the_version_of_its_publisher() {
    for (minor, socket_type, subscription) in
        [(0, &b"PUB"[..], &b"\x00\x03\x01/t"[..]), (1, b"XPUB", b"\x04\x0c\x09SUBSCRIBE/t")]
    {
        let folder = Folder::new();
        let address = folder.address("raw");
        let listener = UnixListener::bind(path(&address)).expect("it binds");
        let mut subscriber = subscriber(&address);
        let (mut stream, _) = listener.accept().expect("it connects");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        stream.write_all(&greeting(minor)).expect("it accepts");
        stream.write_all(&ready(socket_type)).expect("it accepts");
        skip_handshake(&mut stream);
        expect_bytes(&mut stream, subscription);
        stream.write_all(b"\x01\x02/t\x00\x01x\x04\x08\x04PING\0\0a").expect("it accepts");
        let message = subscriber.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert!(message.frames().eq([&b"/t"[..], b"x"]));
        assert!(subscriber.recv_timeout(Duration::from_millis(1)).expect("no error").is_none());
        expect_bytes(&mut stream, b"\x04\x06\x04PONGa");
        // A violation costs the connection, which is made again.
        stream.write_all(b"\x09").expect("it accepts");
        wait_until("it is disconnected", || {
            let _ = subscriber.recv_timeout(Duration::from_millis(1)).expect("no error");
            listener.set_nonblocking(true).expect("a socket");
            listener.accept().is_ok()
        });
    }
}

#[test]
fn more_prefixes_than_a_socket_buffer_holds_are_subscribed() {
    let folder = Folder::new();
    let publisher = publisher(&folder, 10);
    let subscriber = RawSubscriber::with_queue(0).expect("a subscriber");
    let mut subscriber = subscriber.transport(Transport::Local);
    for number in 0..5000 {
        subscriber.subscribe(format!("{number:0100}").as_bytes()).expect("it subscribes");
    }
    subscriber.connect_also(publisher.address()).expect("it connects");
    publisher.blocking_wait_for_subscribers(5000, DEADLINE).expect("they subscribe");
    assert_eq!(publisher.stats().peers.len(), 1);
    publisher.send(&[format!("{:0100}", 4999).as_bytes()]).expect("it is sent");
    assert!(subscriber.recv_timeout(DEADLINE).expect("no error").is_some());
}

#[test]
fn a_peer_that_violates_the_protocol_or_a_limit_is_disconnected_and_the_others_are_served() {
    let folder = Folder::new();
    let publisher = publisher(&folder, 10);
    let mut friend = subscriber(publisher.address());
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
    let mut expect_service = |what: &str| {
        publisher.send(&[b"/t", what.as_bytes()]).expect("it is sent");
        let message = friend.recv_timeout(DEADLINE).expect("no error").expect("in time");
        assert_eq!(message.frame(1), Some(what.as_bytes()));
    };
    let many: Vec<u8> =
        (0..100_000).flat_map(|number| format!("\0\x07\x01{number:06}").into_bytes()).collect();
    let again = [greeting(1), ready(b"SUB")].concat();
    for (what, rest) in [
        ("a second READY", &ready(b"SUB")[..]),
        ("a second handshake", &again),
        ("undefined flags", b"\x09"),
        ("a command of several frames", b"\x05\x00"),
        ("a command of 2^63 bytes", b"\x06\x80\0\0\0\0\0\0\0"),
        ("a message of 2^63 bytes", b"\x02\x80\0\0\0\0\0\0\0"),
        ("a message of 2^64 - 1 bytes", b"\x02\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("ERROR", b"\x04\x06\x05ERROR"),
        ("a malformed command", b"\x04\x02\x09S"),
        ("a hundred thousand subscriptions", &many),
    ] {
        let mut peer = raw_peer(publisher.address(), 1, b"SUB", rest);
        expect_end(&mut peer, what);
        expect_service(what);
    }
    let mut curve = greeting(1);
    curve[12..17].copy_from_slice(b"CURVE");
    for (what, bytes) in [
        ("another protocol", &b"GET / HTTP/1.1\r\n\r\n"[..]),
        ("nothing but zeros", &[0; 4096]),
        ("another socket type", &[greeting(1), ready(b"REQ")].concat()),
        ("a message before READY", &[&greeting(1)[..], b"\x00\x03\x01/t"].concat()),
        ("another mechanism", &curve),
        ("an older version", &[&[0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1][..], &[0; 53]].concat()),
    ] {
        let mut peer = UnixStream::connect(path(publisher.address())).expect("it listens");
        peer.set_read_timeout(Some(DEADLINE)).expect("a socket");
        let _ = peer.write_all(bytes);
        expect_end(&mut peer, what);
        expect_service(what);
    }
    wait_until("only one is left", || publisher.subscriber_count() == 1);
    assert_eq!(publisher.stats().peers.len(), 1);
}

#[test]
fn half_greetings_are_bounded_in_number() {
    let folder = Folder::new();
    let publisher = publisher(&folder, 10);
    let mut silent: Vec<_> = (0..400)
        .map(|index| {
            let mut stream = UnixStream::connect(path(publisher.address())).expect("it listens");
            // The older ones may be disconnected meanwhile.
            let _ = stream.write_all(&greeting(1)[..index % GREETING_LEN]);
            stream
        })
        .collect();
    let mut friend = subscriber(publisher.address());
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
    publisher.send(&[b"/t", b"x"]).expect("it is sent");
    assert!(friend.recv_timeout(DEADLINE).expect("no error").is_some());
    // The first ones made room; the last ones still have time.
    for stream in &mut silent[..200] {
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        expect_end(stream, "one of the first");
    }
    let last = silent.last_mut().expect("one of them");
    last.set_nonblocking(true).expect("a socket");
    let mut bytes = [0; 1000];
    while let Ok(count) = last.read(&mut bytes) {
        assert_ne!(count, 0, "the last one is disconnected");
    }
}

#[test]
fn a_peer_that_never_reads_is_bounded_whatever_it_asks_for() {
    let folder = Folder::new();
    let publisher = publisher(&folder, 10);
    let mut requests = b"\x04\x0c\x09SUBSCRIBE/t".to_vec();
    for _ in 0..50_000 {
        requests.extend_from_slice(b"\x04\x08\x04PING\0\0a\x04\x10\x0fX-CORTEX-REPORT");
    }
    let peer = raw_peer(publisher.address(), 1, b"SUB", &requests);
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("it subscribes");
    for _ in 0..5000 {
        publisher.send(&[b"/t", &[0; 1000]]).expect("it is sent");
    }
    wait_until("its queue is full", || publisher.stats().congested > 0);
    let peers = publisher.stats().peers;
    assert_eq!(peers.len(), 1);
    assert!(peers[0].waiting <= Some(11) && peers[0].waiting_bytes < Some(200_000), "{peers:?}");
    drop(peer);
    wait_until("it is gone", || publisher.subscriber_count() == 0);
}
