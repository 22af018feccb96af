//! Tests of what only libzmq does; the contract's tests are in `transport/contract.rs`.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::context::Context;
use super::owner::{OwnedView, ViewFamily};
use super::sub::ZmqSubscriber;
use super::xpub::ZmqPublisher;
use crate::transport::contract::{publish_until_received, wait_for_subscription};
use crate::transport::error::SocketErrorKind;
use crate::transport::socket::{
    Part, PublisherOptions, PublisherSocket, Sent, SubscriberOptions, SubscriberSocket,
};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn an_unlisted_error_number_does_not_panic() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let context = Context::new().unwrap();
    let address = format!("ipc://{}/below", file.display());
    let error = ZmqPublisher::bind(&context, &address, &PublisherOptions::default()).unwrap_err();
    assert_eq!(error.kind(), SocketErrorKind::Other(libc::ENOTDIR));
    assert!(error.to_string().contains(&address), "{error}");
}

#[test]
fn an_invalid_address_is_an_error_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let context = Context::new().unwrap();
    let kind = |address: &str| {
        ZmqPublisher::bind(&context, address, &PublisherOptions::default()).unwrap_err().kind()
    };
    assert_eq!(kind("nonsense"), SocketErrorKind::InvalidAddress);
    assert_eq!(kind("what://ever"), SocketErrorKind::InvalidAddress);
    assert_eq!(kind("ipc:///a\0b"), SocketErrorKind::InvalidAddress);
    let missing = format!("ipc://{}/no/s", dir.path().display());
    assert_eq!(kind(&missing), SocketErrorKind::NotFound);
    let long = format!("ipc://{}/{}", dir.path().display(), "x".repeat(120));
    assert_eq!(kind(&long), SocketErrorKind::PathTooLong);
    let options = PublisherOptions::default();
    let mut first = ZmqPublisher::bind(&context, "tcp://127.0.0.1:*", &options).unwrap();
    assert_eq!(kind(&first.address().unwrap()), SocketErrorKind::AddressInUse);
}

#[test]
fn libzmq_leaves_its_ipc_file_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let context = Context::new().unwrap();
    let address = format!("ipc://{}", path.display());
    let socket = ZmqPublisher::bind(&context, &address, &PublisherOptions::default()).unwrap();
    drop(socket);
    // Returns only when the socket and its listener are closed.
    drop(context);
    assert!(std::fs::exists(path).unwrap());
}

#[test]
fn liveness_checks_and_ipv6_leave_tcp_usable() {
    let context = Context::new().unwrap();
    for host in ["127.0.0.1", "[::1]"] {
        let address = format!("tcp://{host}:*");
        let mut publisher =
            match ZmqPublisher::bind(&context, &address, &PublisherOptions::default()) {
                Ok(publisher) => publisher,
                // A machine without IPv6.
                Err(_) if host == "[::1]" => return,
                Err(error) => panic!("{error}"),
            };
        let mut subscriber = ZmqSubscriber::new(&context, &SubscriberOptions::default()).unwrap();
        subscriber.subscribe(b"").unwrap();
        let address = publisher.address().unwrap();
        subscriber.connect(&address).unwrap();
        publish_until_received(&mut publisher, &mut subscriber);
        subscriber.disconnect(&address).unwrap();
    }
}

#[test]
fn both_ends_of_a_tcp_connection_are_probed_while_it_is_silent() {
    use rustix::net::sockopt;

    let context = Context::new().unwrap();
    let options = PublisherOptions::default();
    let mut publisher = ZmqPublisher::bind(&context, "tcp://127.0.0.1:*", &options).unwrap();
    let mut subscriber = ZmqSubscriber::new(&context, &SubscriberOptions::default()).unwrap();
    subscriber.subscribe(b"").unwrap();
    let address = publisher.address().unwrap();
    subscriber.connect(&address).unwrap();
    assert!(wait_for_subscription(&mut publisher, PATIENCE).expect("in time").subscribe);

    let place: std::net::SocketAddr = address.strip_prefix("tcp://").unwrap().parse().unwrap();
    let is_probed = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap();
        let ends = files.filter_map(|file| {
            let fd = file.ok()?.file_name().to_str()?.parse().ok()?;
            // SAFETY: only options are read; a number that was closed meanwhile gives an error.
            let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
            let at = |name: rustix::net::SocketAddrAny| std::net::SocketAddr::try_from(name).ok();
            let (peer, own) = (rustix::net::getpeername(socket), rustix::net::getsockname(socket));
            let is_end = at(peer.ok()??) == Some(place) || at(own.ok()?) == Some(place);
            is_end.then(|| {
                sockopt::socket_keepalive(socket).unwrap_or(false)
                    && sockopt::tcp_user_timeout(socket).unwrap_or(0) > 0
            })
        });
        let ends: Vec<bool> = ends.collect();
        ends.len() == 2 && ends.iter().all(|is_set| *is_set)
    };
    let deadline = std::time::Instant::now() + PATIENCE;
    while !is_probed() {
        assert!(std::time::Instant::now() < deadline, "not probed");
        std::thread::yield_now();
    }
}

struct Plain;
impl ViewFamily for Plain {
    type View<'a> = &'a [u8];
}

#[test]
fn an_owner_that_holds_the_last_context_does_not_hang() {
    struct Report(mpsc::Sender<()>);
    impl Drop for Report {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    // Dropped in this order: it reports only once the context has released the thread.
    struct Station {
        bytes: Vec<u8>,
        _context: Context,
        _report: Report,
    }
    let dir = tempfile::tempdir().unwrap();
    let address = format!("ipc://{}/s", dir.path().display());
    let context = Context::new().unwrap();
    let options = PublisherOptions { high_water_mark: 10, ..PublisherOptions::default() };
    let mut socket = ZmqPublisher::bind(&context, &address, &options).unwrap();
    // This subscriber never reads, so the frame waits in the publisher until that is closed.
    let elsewhere = Context::new().unwrap();
    let mut silent = ZmqSubscriber::new(&elsewhere, &SubscriberOptions::default()).unwrap();
    silent.subscribe(b"").unwrap();
    silent.connect(&address).unwrap();
    assert!(wait_for_subscription(&mut socket, PATIENCE).expect("in time").subscribe);
    let (sender, dropped) = mpsc::channel();
    let owner = Arc::new(Station {
        bytes: vec![6; 30_000_000],
        _context: context,
        _report: Report(sender),
    });
    let owned = OwnedView::<Plain, _>::new(owner, |owner| &owner.bytes);
    let frame = owned.with(|view, maker| maker.frame(view).unwrap());
    drop(owned);
    assert_eq!(socket.send(&mut [Part::Frame(frame)]).unwrap(), Sent::Delivered);
    drop(socket);
    dropped.recv_timeout(PATIENCE).unwrap();
}
