//! Tests of the contract that [`transport`](super) states, over every transport.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use super::*;

pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A publisher on a fresh endpoint.
pub(super) struct Fixture {
    _dir: tempfile::TempDir,
    transport: Transport,
    context: Context,
    address: String,
    pub(super) publisher: Box<dyn PublisherSocket>,
}

/// Runs a test once for each transport, with a publisher of that high-water mark.
pub(super) fn with_each(high_water_mark: i32, test: impl Fn(Fixture)) {
    for transport in Transport::ALL {
        println!("transport {transport:?}");
        test(Fixture::new(transport, high_water_mark));
    }
}

impl Fixture {
    fn new(transport: Transport, high_water_mark: i32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("ipc://{}/s", dir.path().display());
        let context = Context::new().unwrap();
        let options = PublisherOptions { high_water_mark, ..PublisherOptions::default() };
        let publisher = transport.bind(&context, &address, &options).unwrap();
        Self { _dir: dir, transport, context, address, publisher }
    }

    /// A subscriber's socket that is not connected.
    fn unconnected(&self, high_water_mark: i32) -> Box<dyn SubscriberSocket> {
        let options = SubscriberOptions { high_water_mark, ..SubscriberOptions::default() };
        self.transport.subscriber(&self.context, &options).unwrap()
    }

    /// A subscriber to `/t` that the publisher has seen.
    pub(super) fn subscriber(&mut self, high_water_mark: i32) -> Box<dyn SubscriberSocket> {
        let mut socket = self.unconnected(high_water_mark);
        socket.subscribe(b"/t").unwrap();
        socket.connect(&self.address).unwrap();
        assert!(self.next_subscription().subscribe);
        socket
    }

    fn next_subscription(&mut self) -> SubscriptionEvent {
        wait_for_subscription(&mut *self.publisher, PATIENCE).expect("in time")
    }
}

/// Waits for the next subscription or unsubscription.
pub(super) fn wait_for_subscription(
    socket: &mut dyn PublisherSocket,
    timeout: Duration,
) -> Option<SubscriptionEvent> {
    let deadline = Instant::now() + timeout;
    loop {
        let subscription = socket.next_subscription().unwrap();
        let is_done = subscription.is_some();
        if is_done || socket.wait_for_room(Some(deadline), None).unwrap() == WaitResult::TimedOut {
            return subscription;
        }
    }
}

pub(super) fn recv(socket: &mut dyn SubscriberSocket) -> Multipart {
    let mut message = Multipart::default();
    let deadline = Some(Instant::now() + PATIENCE);
    assert_eq!(socket.recv_until(&mut message, deadline, None).unwrap(), WaitResult::Ready);
    message
}

/// Publishes until the subscriber receives a message: a publisher cannot see when a peer that comes back
/// is ready.
pub(super) fn publish_until_received(
    publisher: &mut dyn PublisherSocket,
    subscriber: &mut dyn SubscriberSocket,
) {
    let deadline = Instant::now() + PATIENCE;
    let mut message = Multipart::default();
    loop {
        let mut parts = [Part::Copy(b"/t"), Part::Copy(b"x")];
        assert_eq!(publisher.send(&mut parts).unwrap(), Sent::Delivered);
        let pause = Some(Instant::now() + Duration::from_millis(5));
        if subscriber.recv_until(&mut message, pause, None).unwrap() == WaitResult::Ready {
            return;
        }
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn copies_and_frames_arrive_in_order() {
    with_each(10, |mut fixture| {
        let mut subscriber = fixture.subscriber(10);
        let big = vec![5; 100_000];
        let mut parts = [
            Part::Copy(b"/t"),
            Part::Frame(Frame::from_copy(b"header").unwrap()),
            Part::Copy(b""),
            Part::Copy(&big),
            Part::Copy(b"fifth"),
        ];
        assert_eq!(fixture.publisher.send(&mut parts).unwrap(), Sent::Delivered);
        let message = recv(&mut *subscriber);
        let expected: [&[u8]; 5] = [b"/t", b"header", b"", &big, b"fifth"];
        assert_eq!(message.iter().collect::<Vec<_>>(), expected);
        assert_eq!(fixture.publisher.send(&mut []).unwrap(), Sent::Delivered);
    });
}

#[test]
fn a_received_message_outlives_its_socket() {
    with_each(10, |mut fixture| {
        let mut subscriber = fixture.subscriber(10);
        let mut parts = [Part::Copy(b"/t"), Part::Copy(&[7; 70_000])];
        assert_eq!(fixture.publisher.send(&mut parts).unwrap(), Sent::Delivered);
        let message = recv(&mut *subscriber);
        drop(subscriber);
        drop(fixture);
        assert_eq!(message.frame(1), Some(&[7; 70_000][..]));
    });
}

#[test]
fn a_subscriber_receives_topics_that_begin_with_its_prefixes() {
    with_each(10, |mut fixture| {
        let mut subscriber = fixture.subscriber(10);
        for topic in [&b"/other"[..], b"/", b"", b"/t", b"/table"] {
            let mut parts = [Part::Copy(topic)];
            assert_eq!(fixture.publisher.send(&mut parts).unwrap(), Sent::Delivered);
        }
        assert_eq!(recv(&mut *subscriber).frame(0), Some(&b"/t"[..]));
        assert_eq!(recv(&mut *subscriber).frame(0), Some(&b"/table"[..]));
        subscriber.unsubscribe(b"/t").unwrap();
        assert!(!fixture.next_subscription().subscribe);
        let mut message = Multipart::default();
        assert!(!subscriber.try_recv(&mut message).unwrap());
        assert!(message.is_empty());
    });
}

#[test]
fn subscriptions_are_counted_per_peer() {
    with_each(10, |mut fixture| {
        let first = fixture.subscriber(10);
        let second = fixture.subscriber(10);
        let is_end = |event: SubscriptionEvent| !event.subscribe && event.topic == b"/t";
        drop(first);
        assert!(is_end(fixture.next_subscription()));
        let third = fixture.subscriber(10);
        drop(second);
        assert!(is_end(fixture.next_subscription()));
        drop(third);
        assert!(is_end(fixture.next_subscription()));
        assert_eq!(fixture.publisher.next_subscription().unwrap(), None);
    });
}

#[test]
fn a_subscription_beyond_the_limit_is_not_accepted() {
    with_each(10, |mut fixture| {
        let mut hostile = fixture.unconnected(1000);
        hostile.subscribe(&vec![b'x'; 100_000]).unwrap();
        hostile.connect(&fixture.address).unwrap();
        let _friend = fixture.subscriber(10);
        assert_eq!(fixture.publisher.next_subscription().unwrap(), None);
    });
}

#[test]
fn sockets_of_any_two_transports_understand_each_other() {
    const LENS: [usize; 10] = [0, 1, 255, 256, 1025, 8191, 8192, 70_000, 1 << 20, 5 << 20];
    for publishing in Transport::ALL {
        for subscribing in Transport::ALL {
            let mut fixture = Fixture::new(publishing, LENS.len() as i32);
            fixture.transport = subscribing;
            let mut subscriber = fixture.subscriber(LENS.len() as i32);
            for (number, len) in (0..).zip(LENS) {
                let body = vec![number; len];
                let mut parts = [Part::Copy(b"/t"), Part::Copy(&body), Part::Copy(b"last")];
                assert_eq!(fixture.publisher.send(&mut parts).unwrap(), Sent::Delivered);
                let message = recv(&mut *subscriber);
                assert!(message.iter().eq([&b"/t"[..], &body, b"last"]), "{subscribing:?} {len}");
            }
            drop(subscriber);
            assert!(!fixture.next_subscription().subscribe);
        }
    }
}

#[test]
fn a_long_message_arrives_whole_at_a_subscriber_that_reads_at_once_and_at_one_that_reads_later() {
    with_each(10, |mut fixture| {
        let mut late = fixture.subscriber(10);
        let mut prompt = fixture.subscriber(10);
        let body: Vec<u8> = (0..5 << 20_u32).map(|index| (index % 251) as u8).collect();
        let reader =
            std::thread::spawn(move || (0..4).map(|_| recv(&mut *prompt)).collect::<Vec<_>>());
        for number in 0..4_u8 {
            let mut parts = [Part::Copy(b"/t"), Part::Copy(&body), Part::Copy(&[number])];
            assert_eq!(fixture.publisher.send(&mut parts).unwrap(), Sent::Delivered);
        }
        let prompt = reader.join().unwrap();
        let late: Vec<_> = (0..4).map(|_| recv(&mut *late)).collect();
        for (number, message) in (0..4_u8).zip(&prompt).chain((0..4).zip(&late)) {
            assert!(message.frame(1) == Some(&body[..]) && message.frame(2) == Some(&[number][..]));
        }
    });
}

#[test]
fn a_stuck_subscriber_costs_a_healthy_one_nothing() {
    const COUNT: u32 = 3000;
    with_each(10, |mut fixture| {
        let stuck = fixture.subscriber(1);
        let mut healthy = fixture.subscriber(10);
        let body = vec![1; 10_000];
        let mut congested = 0;
        for i in 0..COUNT {
            let number = i.to_be_bytes();
            let mut parts = [Part::Copy(b"/t"), Part::Copy(&number), Part::Copy(&body)];
            match fixture.publisher.send(&mut parts).unwrap() {
                Sent::Delivered => {}
                Sent::Congested => congested += 1,
            }
            let message = recv(&mut *healthy);
            assert_eq!(message.frame(1), Some(&number[..]));
            assert_eq!(message.frame(2), Some(&body[..]));
        }
        assert!(congested >= 1);
        drop(stuck);
    });
}

#[test]
fn a_full_queue_blocks_until_its_subscriber_reads() {
    with_each(2, |mut fixture| {
        let mut slow = fixture.subscriber(1);
        let body = vec![1; 500_000];
        let mut sent = 0_u32;
        let mut parts = [Part::Copy(b"/t"), Part::Copy(&body)];
        // The queue is full once waiting changes nothing any more.
        loop {
            match fixture.publisher.try_send(&mut parts).unwrap() {
                TrySent::Delivered => {
                    sent += 1;
                    parts = [Part::Copy(b"/t"), Part::Copy(&body)];
                }
                TrySent::WouldBlock | TrySent::Skipped => {
                    let soon = Some(Instant::now() + Duration::from_millis(50));
                    if fixture.publisher.wait_for_room(soon, None).unwrap() == WaitResult::TimedOut
                    {
                        break;
                    }
                }
            }
        }

        let reader = std::thread::spawn(move || {
            for _ in 0..=sent {
                let message = recv(&mut *slow);
                assert_eq!(message.frame(1).map(<[u8]>::len), Some(500_000));
            }
        });
        let deadline = Some(Instant::now() + PATIENCE);
        while fixture.publisher.try_send(&mut parts).unwrap() == TrySent::WouldBlock {
            let wait = fixture.publisher.wait_for_room(deadline, None).unwrap();
            assert_eq!(wait, WaitResult::Ready);
        }
        reader.join().unwrap();
    });
}

struct Plain;
impl ViewFamily for Plain {
    type View<'a> = &'a [u8];
}

struct Owner(Vec<u8>, mpsc::Sender<()>);
impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.1.send(());
    }
}

fn owner(sender: &mpsc::Sender<()>) -> Arc<OwnedView<Plain, Owner>> {
    let owner = Arc::new(Owner(vec![6; 500_000], sender.clone()));
    OwnedView::new(owner, |owner| &owner.0[..])
}

fn frame(owned: &Arc<OwnedView<Plain, Owner>>) -> Frame {
    owned.with(|view, maker| maker.frame(view).unwrap())
}

fn wait_for_release(socket: &mut dyn PublisherSocket, dropped: &mpsc::Receiver<()>) {
    let deadline = Instant::now() + PATIENCE;
    while dropped.recv_timeout(Duration::from_millis(1)).is_err() {
        let _ = socket.next_subscription().unwrap();
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn an_owner_is_dropped_once_every_frame_of_it_is_sent() {
    with_each(10, |mut fixture| {
        let mut subscriber = fixture.subscriber(10);
        let (sender, dropped) = mpsc::channel();
        let owned = owner(&sender);
        let (first, second) = (frame(&owned), frame(&owned));
        drop(owned);
        let mut parts = [Part::Copy(b"/t"), Part::Frame(first)];
        assert_eq!(fixture.publisher.send(&mut parts).unwrap(), Sent::Delivered);
        let message = recv(&mut *subscriber);
        assert_eq!(message.frame(1), Some(&[6; 500_000][..]));
        // The first frame is sent; the second still holds the owner.
        let mut parts = [Part::Copy(b"/t"), Part::Frame(second)];
        assert!(dropped.try_recv().is_err());
        assert_eq!(fixture.publisher.send(&mut parts).unwrap(), Sent::Delivered);
        wait_for_release(&mut *fixture.publisher, &dropped);
    });
}

#[test]
fn a_subscriber_that_disappears_releases_owners() {
    with_each(10, |mut fixture| {
        let stuck = fixture.subscriber(1);
        let (sender, dropped) = mpsc::channel();
        let mut sent = 0;
        loop {
            sent += 1;
            let mut parts = [Part::Copy(b"/t"), Part::Frame(frame(&owner(&sender)))];
            if fixture.publisher.send(&mut parts).unwrap() == Sent::Congested {
                break;
            }
        }
        drop(stuck);
        for _ in 0..sent {
            wait_for_release(&mut *fixture.publisher, &dropped);
        }
    });
}

#[test]
fn without_a_subscriber_the_owner_is_dropped_at_once() {
    with_each(10, |mut fixture| {
        let (sender, dropped) = mpsc::channel();
        let mut parts = [Part::Copy(b"/t"), Part::Frame(frame(&owner(&sender)))];
        assert_eq!(fixture.publisher.send(&mut parts).unwrap(), Sent::Delivered);
        dropped.try_recv().unwrap();
    });
}

#[test]
fn an_interrupt_ends_a_blocked_receive_until_it_is_cleared() {
    with_each(10, |fixture| {
        let mut socket = fixture.unconnected(1000);
        let interrupt = Interrupt::new().unwrap();
        let other = interrupt.clone();
        let blocked = std::thread::spawn(move || {
            let mut message = Multipart::default();
            let mut wait = || socket.recv_until(&mut message, None, Some(&other)).unwrap();
            [wait(), wait()]
        });
        interrupt.wake();
        assert_eq!(blocked.join().unwrap(), [WaitResult::Interrupted; 2]);
    });
}

#[test]
fn a_receive_ends_at_its_deadline() {
    with_each(10, |fixture| {
        let mut socket = fixture.unconnected(1000);
        let interrupt = Interrupt::new().unwrap();
        let mut message = Multipart::default();
        for timeout in [Duration::ZERO, Duration::from_micros(300), Duration::from_millis(5)] {
            let before = Instant::now();
            let deadline = Some(before + timeout);
            let wait = socket.recv_until(&mut message, deadline, Some(&interrupt)).unwrap();
            assert_eq!(wait, WaitResult::TimedOut);
            assert!(before.elapsed() >= timeout);
            assert!(message.is_empty());
        }
    });
}

#[test]
fn a_publisher_that_comes_back_is_connected_again() {
    for transport in Transport::ALL {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("ipc://{}/s", dir.path().display());
        let context = Context::new().unwrap();
        let mut subscriber = transport.subscriber(&context, &SubscriberOptions::default()).unwrap();
        subscriber.subscribe(b"/t").unwrap();
        // No publisher listens yet.
        subscriber.connect(&address).unwrap();
        for _ in 0..2 {
            let options = PublisherOptions::default();
            let mut publisher = transport.bind(&context, &address, &options).unwrap();
            publish_until_received(&mut *publisher, &mut *subscriber);
        }
    }
}

#[cfg(feature = "tokio")]
mod asynchronous;
