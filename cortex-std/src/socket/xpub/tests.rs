use std::sync::{Arc, mpsc};

use super::*;
use crate::socket::error::SocketErrorKind;
use crate::socket::multipart::Multipart;
use crate::socket::owner::{Held, ViewFamily};
use crate::socket::sub::{SubOptions, SubSocket};

const PATIENCE: Duration = Duration::from_secs(20);

/// Where a socket of port `*` can be reached.
pub(in crate::socket) fn last_endpoint(socket: &mut XpubSocket) -> String {
    socket.raw.last_endpoint().unwrap()
}

/// Waits for the next subscription or unsubscription.
pub(in crate::socket) fn wait_subscription(
    socket: &mut XpubSocket,
    timeout: Duration,
) -> Option<Subscription> {
    let deadline = Instant::now() + timeout;
    loop {
        let subscription = socket.next_subscription().unwrap();
        let done = subscription.is_some();
        if done || socket.wait_for_room(Some(deadline), None).unwrap() == Wait::TimedOut {
            return subscription;
        }
    }
}

struct Bench {
    _dir: tempfile::TempDir,
    context: Context,
    address: String,
    socket: XpubSocket,
}

fn bench(high_water_mark: i32) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let address = format!("ipc://{}/s", dir.path().display());
    let context = Context::new().unwrap();
    let options = XpubOptions { high_water_mark, ..XpubOptions::default() };
    let socket = XpubSocket::bind(&context, &address, &options).unwrap();
    Bench { _dir: dir, context, address, socket }
}

impl Bench {
    fn subscriber(&mut self, high_water_mark: i32) -> SubSocket {
        let options = SubOptions { high_water_mark, ..SubOptions::default() };
        let mut socket = SubSocket::new(&self.context, &options).unwrap();
        socket.subscribe(b"/t").unwrap();
        socket.connect(&self.address).unwrap();
        assert!(self.next().subscribe);
        socket
    }

    fn next(&mut self) -> Subscription {
        wait_subscription(&mut self.socket, PATIENCE).expect("in time")
    }
}

fn recv(socket: &mut SubSocket) -> Multipart {
    let mut message = Multipart::default();
    let deadline = Some(Instant::now() + PATIENCE);
    assert_eq!(socket.recv_until(&mut message, deadline, None).unwrap(), Wait::Ready);
    message
}

#[test]
fn a_foreign_error_number_does_not_panic() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let context = Context::new().unwrap();
    let address = format!("ipc://{}/below", file.display());
    let error = XpubSocket::bind(&context, &address, &XpubOptions::default()).unwrap_err();
    assert_eq!(error.kind(), SocketErrorKind::Other(libc::ENOTDIR));
    assert!(error.to_string().contains(&address), "{error}");
}

#[test]
fn a_bad_address_names_its_fault() {
    let dir = tempfile::tempdir().unwrap();
    let context = Context::new().unwrap();
    let kind = |address: &str| {
        XpubSocket::bind(&context, address, &XpubOptions::default()).unwrap_err().kind()
    };
    assert_eq!(kind("nonsense"), SocketErrorKind::InvalidAddress);
    assert_eq!(kind("what://ever"), SocketErrorKind::InvalidAddress);
    assert_eq!(kind("ipc:///a\0b"), SocketErrorKind::InvalidAddress);
    let missing = format!("ipc://{}/no/s", dir.path().display());
    assert_eq!(kind(&missing), SocketErrorKind::NotFound);
    let long = format!("ipc://{}/{}", dir.path().display(), "x".repeat(120));
    assert_eq!(kind(&long), SocketErrorKind::PathTooLong);
    let mut first =
        XpubSocket::bind(&context, "tcp://127.0.0.1:*", &XpubOptions::default()).unwrap();
    assert_eq!(kind(&last_endpoint(&mut first)), SocketErrorKind::AddressInUse);
}

#[test]
fn libzmq_leaves_its_ipc_file_behind() {
    let Bench { _dir, context, address, socket } = bench(10);
    let path = address.strip_prefix("ipc://").unwrap().to_owned();
    drop(socket);
    // Ends only when the socket and its listener are closed.
    drop(context);
    assert!(std::fs::exists(path).unwrap());
}

#[test]
fn copies_and_frames_arrive_in_order() {
    let mut bench = bench(10);
    let mut subscriber = bench.subscriber(10);
    let big = vec![5; 100_000];
    let mut parts = [
        Part::Copy(b"/t"),
        Part::Frame(Frame::from_copy(b"header").unwrap()),
        Part::Copy(b""),
        Part::Copy(&big),
        Part::Copy(b"fifth"),
    ];
    assert_eq!(bench.socket.send(&mut parts).unwrap(), Sent::Delivered);
    let message = recv(&mut subscriber);
    let expected: [&[u8]; 5] = [b"/t", b"header", b"", &big, b"fifth"];
    assert_eq!(message.iter().collect::<Vec<_>>(), expected);
    assert_eq!(bench.socket.send(&mut []).unwrap(), Sent::Delivered);
}

#[test]
fn subscriptions_are_counted_per_peer() {
    let mut bench = bench(10);
    let first = bench.subscriber(10);
    let second = bench.subscriber(10);
    let left = Subscription { subscribe: false, topic: b"/t".to_vec() };
    drop(first);
    assert_eq!(bench.next(), left);
    let third = bench.subscriber(10);
    drop(second);
    assert_eq!(bench.next(), left);
    drop(third);
    assert_eq!(bench.next(), left);
    assert_eq!(bench.socket.next_subscription().unwrap(), None);
}

#[test]
fn a_stuck_subscriber_costs_a_healthy_one_nothing() {
    const COUNT: u32 = 3000;
    let mut bench = bench(10);
    let stuck = bench.subscriber(1);
    let mut healthy = bench.subscriber(10);
    let body = vec![1; 10_000];
    let mut congested = 0;
    for i in 0..COUNT {
        let number = i.to_be_bytes();
        let mut parts = [Part::Copy(b"/t"), Part::Copy(&number), Part::Copy(&body)];
        match bench.socket.send(&mut parts).unwrap() {
            Sent::Delivered => {}
            Sent::Congested => congested += 1,
        }
        let message = recv(&mut healthy);
        assert_eq!(message.frame(1), Some(&number[..]));
        assert_eq!(message.frame(2), Some(&body[..]));
    }
    assert!(congested >= 1);
    drop(stuck);
}

#[test]
fn a_full_queue_blocks_until_somebody_reads() {
    let mut bench = bench(2);
    let mut slow = bench.subscriber(1);
    let body = vec![1; 500_000];
    let mut sent = 0_u32;
    let mut parts = [Part::Copy(b"/t"), Part::Copy(&body)];
    // Full is when even waiting changes nothing any more.
    loop {
        match bench.socket.try_send(&mut parts).unwrap() {
            TrySent::Delivered => {
                sent += 1;
                parts = [Part::Copy(b"/t"), Part::Copy(&body)];
            }
            TrySent::WouldBlock => {
                let soon = Some(Instant::now() + Duration::from_millis(50));
                if bench.socket.wait_for_room(soon, None).unwrap() == Wait::TimedOut {
                    break;
                }
            }
        }
    }

    let reader = std::thread::spawn(move || {
        for _ in 0..=sent {
            let message = recv(&mut slow);
            assert_eq!(message.frame(1).map(<[u8]>::len), Some(500_000));
        }
    });
    let deadline = Some(Instant::now() + PATIENCE);
    while bench.socket.try_send(&mut parts).unwrap() == TrySent::WouldBlock {
        assert_eq!(bench.socket.wait_for_room(deadline, None).unwrap(), Wait::Ready);
    }
    reader.join().unwrap();
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

fn owner(sender: &mpsc::Sender<()>) -> Arc<Held<Plain, Owner>> {
    let owner = Arc::new(Owner(vec![6; 500_000], sender.clone()));
    Held::new(owner, |owner| &owner.0[..])
}

fn frame(held: &Arc<Held<Plain, Owner>>) -> Frame {
    held.with(|view, keeper| keeper.frame(view).unwrap())
}

fn wait_for_release(socket: &mut XpubSocket, dropped: &mpsc::Receiver<()>) {
    let deadline = Instant::now() + PATIENCE;
    while dropped.recv_timeout(Duration::from_millis(1)).is_err() {
        let _ = socket.next_subscription().unwrap();
        assert!(Instant::now() < deadline);
    }
}

#[test]
fn owner_is_dropped_after_libzmq_released_the_frame() {
    let mut bench = bench(10);
    let mut subscriber = bench.subscriber(10);
    let (sender, dropped) = mpsc::channel();
    let held = owner(&sender);
    let (first, second) = (frame(&held), frame(&held));
    drop(held);
    let mut parts = [Part::Copy(b"/t"), Part::Frame(first)];
    assert_eq!(bench.socket.send(&mut parts).unwrap(), Sent::Delivered);
    let message = recv(&mut subscriber);
    assert_eq!(message.frame(1), Some(&[6; 500_000][..]));
    // It was sent, but not everybody let go of it.
    let mut parts = [Part::Copy(b"/t"), Part::Frame(second)];
    assert!(dropped.try_recv().is_err());
    assert_eq!(bench.socket.send(&mut parts).unwrap(), Sent::Delivered);
    wait_for_release(&mut bench.socket, &dropped);
}

#[test]
fn a_vanished_subscriber_gives_owners_back() {
    let mut bench = bench(10);
    let stuck = bench.subscriber(1);
    let (sender, dropped) = mpsc::channel();
    let mut sent = 0;
    loop {
        sent += 1;
        let mut parts = [Part::Copy(b"/t"), Part::Frame(frame(&owner(&sender)))];
        if bench.socket.send(&mut parts).unwrap() == Sent::Congested {
            break;
        }
    }
    drop(stuck);
    for _ in 0..sent {
        wait_for_release(&mut bench.socket, &dropped);
    }
}

#[test]
fn nobody_subscribed_gives_the_owner_back_at_once() {
    let mut bench = bench(10);
    let (sender, dropped) = mpsc::channel();
    let mut parts = [Part::Copy(b"/t"), Part::Frame(frame(&owner(&sender)))];
    assert_eq!(bench.socket.send(&mut parts).unwrap(), Sent::Delivered);
    dropped.try_recv().unwrap();
}

#[test]
fn an_owner_that_holds_the_last_context_does_not_hang() {
    struct Tell(mpsc::Sender<()>);
    impl Drop for Tell {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    // Dropped in this order: it tells only once the context let go of the thread.
    struct Station {
        bytes: Vec<u8>,
        _context: Context,
        _tell: Tell,
    }
    let Bench { _dir, context, address, mut socket } = bench(10);
    // It never reads, so the frame waits in the publisher until that is closed.
    let elsewhere = Context::new().unwrap();
    let mut silent = SubSocket::new(&elsewhere, &SubOptions::default()).unwrap();
    silent.subscribe(b"").unwrap();
    silent.connect(&address).unwrap();
    assert!(wait_subscription(&mut socket, PATIENCE).expect("in time").subscribe);
    let (sender, dropped) = mpsc::channel();
    let owner =
        Arc::new(Station { bytes: vec![6; 30_000_000], _context: context, _tell: Tell(sender) });
    let held = Held::<Plain, _>::new(owner, |owner| &owner.bytes);
    let frame = held.with(|view, keeper| keeper.frame(view).unwrap());
    drop(held);
    assert_eq!(socket.send(&mut [Part::Frame(frame)]).unwrap(), Sent::Delivered);
    drop(socket);
    dropped.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_subscription_beyond_the_limit_is_not_taken() {
    let mut bench = bench(10);
    let mut hostile = SubSocket::new(&bench.context, &SubOptions::default()).unwrap();
    hostile.subscribe(&vec![b'x'; 100_000]).unwrap();
    hostile.connect(&bench.address).unwrap();
    let _friend = bench.subscriber(10);
    assert_eq!(bench.socket.next_subscription().unwrap(), None);
}
