//! Slow and broken tcp links: a proxy on the loopback interface forwards so many bytes a second.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cortex_std::Published;
use cortex_std::raw::{RawOptions, RawPublisher, RawSubscriber};
use cortex_std::wire::BytesMessage;
use cortex_tests::graph::{Folder, node};
use cortex_tests::{DEADLINE, wait_until};
use rustix::net::sockopt::set_socket_recv_buffer_size;

/// Bytes that the proxy holds in each direction, beside the kernel's buffers.
const CHUNK: usize = 16 << 10;

/// A link between two sockets that forwards from the server a limited number of bytes a second.
struct SlowLink {
    address: SocketAddr,
    rate: Arc<AtomicU64>,
    is_cut: Arc<AtomicBool>,
}

impl SlowLink {
    /// A link to `server`, `tcp://HOST:PORT`, of `rate` bytes a second.
    fn to(server: &str, rate: u64) -> Self {
        let server: SocketAddr =
            server.strip_prefix("tcp://").expect("tcp").parse().expect("a numeric address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("it binds");
        let link = Self {
            address: listener.local_addr().expect("an address"),
            rate: Arc::new(AtomicU64::new(rate)),
            is_cut: Arc::default(),
        };
        let (rate, is_cut) = (Arc::clone(&link.rate), Arc::clone(&link.is_cut));
        thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.expect("a connection");
                let far = TcpStream::connect(server).expect("the server listens");
                // What the kernel holds for the proxy would not wait at the publisher.
                set_socket_recv_buffer_size(&far, CHUNK).expect("an option");
                let (rate, is_cut) = (Arc::clone(&rate), Arc::clone(&is_cut));
                let (from, to) = (far.try_clone().expect("a socket"), near.try_clone());
                let to = to.expect("a socket");
                thread::spawn(move || forward(from, to, &rate, &is_cut));
                thread::spawn(move || {
                    let _ = std::io::copy(&mut &near, &mut &far);
                    let _ = far.shutdown(Shutdown::Both);
                });
            }
        });
        link
    }

    fn address(&self) -> String {
        format!("tcp://{}", self.address)
    }

    fn set_rate(&self, rate: u64) {
        self.rate.store(rate, Ordering::SeqCst);
    }

    /// Closes the connection that transfers now, once.
    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        wait_until("the link is cut", || !self.is_cut.load(Ordering::SeqCst));
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, rate: &AtomicU64, is_cut: &AtomicBool) {
    from.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let mut bytes = vec![0; CHUNK];
    let mut free_at = Instant::now();
    loop {
        if is_cut.swap(false, Ordering::SeqCst) {
            break;
        }
        let count = match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => break,
        };
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
        let rate = rate.load(Ordering::SeqCst).max(1);
        free_at = free_at.max(Instant::now()) + Duration::from_secs_f64(count as f64 / rate as f64);
        while free_at > Instant::now() && !is_cut.load(Ordering::SeqCst) {
            thread::sleep((free_at - Instant::now()).min(Duration::from_millis(20)));
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// A message of so many bytes.
fn message(len: usize) -> Vec<u8> {
    vec![7; len]
}

/// A publisher, and a subscriber to `/t` behind a link of that rate.
fn linked(rate: u64) -> (RawPublisher, RawSubscriber, SlowLink) {
    let publisher = RawPublisher::bind("tcp://127.0.0.1:*").expect("it binds");
    let link = SlowLink::to(publisher.address(), rate);
    let mut subscriber = RawSubscriber::connect(&link.address()).expect("it connects");
    subscriber.subscribe(b"/t").expect("it subscribes");
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("they connect");
    (publisher, subscriber, link)
}

#[test]
fn a_message_that_takes_five_seconds_on_a_tcp_link_arrives() {
    let (publisher, mut subscriber, _link) = linked(1_000_000);
    let array = vec![7_u8; 5_000_000];
    let start = Instant::now();
    let _ = publisher.send(&[b"/t", &array]).expect("it is sent");
    let message = subscriber.recv_timeout(DEADLINE).expect("no error").expect("it arrives");
    assert!(start.elapsed() > Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(message.frame(1), Some(&array[..]));
}

#[test]
fn a_tcp_connection_that_breaks_is_made_again_and_counted() {
    let (publisher, mut subscriber, link) = linked(1_000_000);
    assert_eq!(subscriber.reconnected(), 0);
    let array = vec![7_u8; 2_000_000];
    let _ = publisher.send(&[b"/t", &array]).expect("it is sent");
    // In the middle of the message.
    assert!(subscriber.recv_timeout(Duration::from_millis(200)).expect("no error").is_none());
    link.cut();
    wait_until("it is connected again", || subscriber.reconnected() == 1);
    link.set_rate(u64::MAX);
    wait_until("a message arrives", || {
        let _ = publisher.send(&[b"/t", b"after"]).expect("it is sent");
        let received = subscriber.recv_timeout(Duration::from_millis(10)).expect("no error");
        received.is_some_and(|message| message.frame(1) == Some(b"after"))
    });
    assert_eq!(subscriber.reconnected(), 1);
}

#[test]
fn a_slow_reader_on_tcp_keeps_its_connection() {
    let publisher = RawPublisher::bind("tcp://127.0.0.1:*").expect("it binds");
    let mut subscriber = RawSubscriber::with_queue(1).expect("a subscriber");
    subscriber.connect_also(publisher.address()).expect("it connects");
    subscriber.subscribe(b"/t").expect("it subscribes");
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("they connect");
    // More than the kernel's buffers hold, so that the connection stalls.
    let array = vec![7_u8; 1_000_000];
    for _ in 0..40 {
        let _ = publisher.send(&[b"/t", &array]).expect("it is sent");
    }
    thread::sleep(Duration::from_secs(7));
    assert!(subscriber.recv_timeout(DEADLINE).expect("no error").is_some());
    assert_eq!((subscriber.reconnected(), publisher.subscriber_count()), (0, 1));
}

#[test]
fn flush_returns_when_the_queue_is_empty_or_with_the_number_of_messages_that_wait() {
    let (publisher, mut subscriber, link) = linked(100_000);
    for _ in 0..9 {
        assert_eq!(publisher.send(&[b"/t", &message(1_000_000)]).expect("sent"), Published::Sent);
    }
    let waiting = publisher.flush(Duration::from_millis(100));
    assert!((1..=9).contains(&waiting), "{waiting}");
    assert_eq!(publisher.stats().waiting, publisher.flush(Duration::ZERO));
    link.set_rate(u64::MAX);
    assert_eq!(publisher.flush(DEADLINE), 0);
    // The publisher is gone, but what it flushed arrives.
    drop(publisher);
    for _ in 0..9 {
        assert!(subscriber.recv_timeout(DEADLINE).expect("no error").is_some());
    }
}

#[test]
fn a_node_that_closes_sends_what_waits_within_the_linger_time() {
    let folder = Folder::new();
    let node = node(&folder, "talker");
    let bind = || node.publisher::<BytesMessage>("/t").bind("tcp://127.0.0.1:*");
    let publisher = bind().linger(DEADLINE).create().expect("it binds");
    let link = SlowLink::to(publisher.address(), 4_000_000);
    let mut subscriber = RawSubscriber::connect(&link.address()).expect("it connects");
    subscriber.subscribe(b"/t").expect("it subscribes");
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("they connect");
    let array = message(1_000_000);
    for _ in 0..8 {
        let sent = publisher.publish(&BytesMessage { data: &array }).expect("it is sent");
        assert_eq!(sent, Published::Sent);
    }
    assert!(publisher.stats().waiting > 0);
    drop((publisher, node));
    for _ in 0..8 {
        assert!(subscriber.recv_timeout(DEADLINE).expect("no error").is_some());
    }
}

#[test]
fn a_node_closes_in_time_although_a_subscriber_reads_nothing() {
    let folder = Folder::new();
    let node = node(&folder, "talker");
    let mut links = Vec::new();
    for topic in ["/a", "/b", "/c"] {
        let publisher = node.publisher::<BytesMessage>(topic).bind("tcp://127.0.0.1:*");
        let publisher = publisher.create().expect("it binds");
        let link = SlowLink::to(publisher.address(), u64::MAX);
        let mut subscriber = RawSubscriber::connect(&link.address()).expect("it connects");
        subscriber.subscribe(topic.as_bytes()).expect("it subscribes");
        publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("they connect");
        link.set_rate(1);
        for _ in 0..10 {
            let _ = publisher.publish(&BytesMessage { data: &message(1_000_000) }).expect("sent");
        }
        links.push((publisher, link, subscriber));
    }
    let start = Instant::now();
    drop(node);
    // A second for all three together.
    assert!(start.elapsed() < Duration::from_millis(2500), "{:?}", start.elapsed());
}

#[test]
fn a_queue_is_limited_in_bytes_and_the_limit_is_in_the_stats() {
    let options = RawOptions::default().queue(100).queue_bytes(1_000_000);
    let publisher = RawPublisher::bind_with("tcp://127.0.0.1:*", &options).expect("it binds");
    let link = SlowLink::to(publisher.address(), u64::MAX);
    let mut subscriber = RawSubscriber::connect(&link.address()).expect("it connects");
    subscriber.subscribe(b"/t").expect("it subscribes");
    publisher.blocking_wait_for_subscribers(1, DEADLINE).expect("they connect");
    link.set_rate(1);
    assert_eq!(publisher.stats().queue_limit, 100);
    let mut congested = 0;
    // The kernel's buffers fill first.
    wait_until("messages wait", || {
        for _ in 0..30 {
            let sent = publisher.send(&[b"/t", &message(199_998)]).expect("no error");
            congested += usize::from(sent == Published::Congested);
        }
        let stats = publisher.stats();
        assert_eq!(stats.queue_limit, 5);
        // Five in the queue, and those that libzmq has taken out of it and not sent.
        assert!(stats.waiting <= 7, "{stats:?}");
        congested > 0 && stats.waiting > 0
    });
    assert!((1..=7).contains(&publisher.flush(Duration::ZERO)));
}
