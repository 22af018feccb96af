//! The subscriber's socket.

use std::time::{Duration, Instant};

use super::context::Context;
use super::error::SocketError;
use super::interrupt::{Interrupt, Wait};
use super::multipart::Multipart;
use super::raw::{self, RawSocket};

/// How long a tcp connection may take, before another one is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Settings of a [`SubSocket`].
#[derive(Debug, Clone)]
pub(crate) struct SubOptions {
    /// Messages that may wait here for each publisher; 0 is no limit. Later ones are lost.
    pub(crate) high_water_mark: i32,
    /// The first pause before connecting again.
    pub(crate) reconnect: Duration,
    /// The longest pause before connecting again; it doubles up to here.
    pub(crate) reconnect_max: Duration,
    /// How often a tcp publisher is asked whether it is there, which it must answer (libzmq does, since
    /// 4.2) within three times as long; zero: never.
    pub(crate) heartbeat: Duration,
    /// Bytes of the longest part a publisher may send, -1 is no limit.
    pub(crate) max_frame_len: i64,
}

impl Default for SubOptions {
    fn default() -> Self {
        Self {
            high_water_mark: 1000,
            reconnect: Duration::from_millis(10),
            reconnect_max: Duration::from_secs(1),
            heartbeat: Duration::from_secs(1),
            max_frame_len: -1,
        }
    }
}

/// A socket that receives what matches its prefixes and connects again by itself.
#[derive(Debug)]
pub(crate) struct SubSocket {
    raw: RawSocket,
    heartbeat: Duration,
}

impl SubSocket {
    /// A socket that is connected to nobody and subscribed to nothing.
    ///
    /// # Errors
    /// When no socket or file descriptor is left.
    pub(crate) fn new(context: &Context, options: &SubOptions) -> Result<Self, SocketError> {
        let mut raw = RawSocket::open(context, zmq_sys::ZMQ_SUB)?;
        raw.set_int(zmq_sys::ZMQ_RCVHWM, options.high_water_mark)?;
        raw.set_int(zmq_sys::ZMQ_LINGER, 0)?;
        raw.set_millis(zmq_sys::ZMQ_RECONNECT_IVL, options.reconnect)?;
        raw.set_millis(zmq_sys::ZMQ_RECONNECT_IVL_MAX, options.reconnect_max)?;
        raw.set_i64(zmq_sys::ZMQ_MAXMSGSIZE, options.max_frame_len)?;
        Ok(Self { raw, heartbeat: options.heartbeat })
    }

    /// Connects to one more publisher, now or as soon as it is there.
    ///
    /// # Errors
    /// When the address is invalid. That nobody is there is no error.
    pub(crate) fn connect(&mut self, address: &str) -> Result<(), SocketError> {
        self.raw.set_heartbeat(address, self.heartbeat)?;
        // What the kernel tries by itself it tries at longer and longer intervals.
        self.raw.set_millis(zmq_sys::ZMQ_CONNECT_TIMEOUT, CONNECT_TIMEOUT)?;
        self.raw.connect(address)
    }

    /// Leaves a publisher; what it sent already is lost.
    ///
    /// # Errors
    /// `NotFound` when it was not connected there.
    pub(crate) fn disconnect(&mut self, address: &str) -> Result<(), SocketError> {
        self.raw.disconnect(address)
    }

    /// Asks for messages whose first part begins with `prefix`.
    ///
    /// # Errors
    /// When libzmq refuses.
    pub(crate) fn subscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        self.raw.set_bytes(zmq_sys::ZMQ_SUBSCRIBE, prefix)
    }

    /// Takes one [`subscribe`](Self::subscribe) back.
    ///
    /// # Errors
    /// When libzmq refuses.
    pub(crate) fn unsubscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        self.raw.set_bytes(zmq_sys::ZMQ_UNSUBSCRIBE, prefix)
    }

    /// Receives a message if one is there. False: there is none, and `message` is empty.
    ///
    /// # Errors
    /// When libzmq refuses.
    pub(crate) fn try_recv(&mut self, message: &mut Multipart) -> Result<bool, SocketError> {
        self.raw.recv_multipart(message)
    }

    /// Waits for a message until `deadline`, for ever if there is none; `message` is empty unless it is
    /// `Ready`.
    ///
    /// # Errors
    /// When libzmq refuses.
    pub(crate) fn recv_until(
        &mut self,
        message: &mut Multipart,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<Wait, SocketError> {
        self.raw.recv_until(message, deadline, interrupt)
    }

    /// The descriptor that becomes readable when something happened here.
    #[cfg(feature = "tokio")]
    pub(super) fn fd(&self) -> super::raw::SocketFd {
        self.raw.fd()
    }
}

/// Waits until something happened at one of the sockets, each of which must have had nothing to
/// receive.
///
/// # Errors
/// When the system refuses to wait.
pub(crate) fn wait_any<'s>(
    sockets: impl Iterator<Item = &'s SubSocket>,
    deadline: Option<Instant>,
    interrupt: &Interrupt,
) -> Result<Wait, SocketError> {
    raw::wait_any(sockets.map(|socket| &socket.raw), deadline, interrupt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::xpub::tests::{last_endpoint, wait_subscription};
    use crate::socket::xpub::{Part, Sent, XpubOptions, XpubSocket};

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn wake_interrupts_a_blocked_receive() {
        let context = Context::new().unwrap();
        let mut socket = SubSocket::new(&context, &SubOptions::default()).unwrap();
        let interrupt = Interrupt::new().unwrap();
        let other = interrupt.clone();
        let blocked = std::thread::spawn(move || {
            let mut message = Multipart::default();
            let mut wait = || socket.recv_until(&mut message, None, Some(&other)).unwrap();
            [wait(), wait()]
        });
        interrupt.wake();
        assert_eq!(blocked.join().unwrap(), [Wait::Interrupted; 2]);
    }

    #[test]
    fn a_receive_ends_at_its_deadline() {
        let context = Context::new().unwrap();
        let mut socket = SubSocket::new(&context, &SubOptions::default()).unwrap();
        let interrupt = Interrupt::new().unwrap();
        let mut message = Multipart::default();
        for timeout in [Duration::ZERO, Duration::from_micros(300), Duration::from_millis(5)] {
            let before = Instant::now();
            let deadline = Some(before + timeout);
            let wait = socket.recv_until(&mut message, deadline, Some(&interrupt)).unwrap();
            assert_eq!(wait, Wait::TimedOut);
            assert!(before.elapsed() >= timeout);
            assert!(message.is_empty());
        }
    }

    /// Publishes until the subscriber has one: there is nothing to wait for on the sender's side when
    /// a peer comes back.
    fn publish_until_received(publisher: &mut XpubSocket, subscriber: &mut SubSocket) {
        let deadline = Instant::now() + PATIENCE;
        let mut message = Multipart::default();
        loop {
            assert_eq!(
                publisher.send(&mut [Part::Copy(b"/t"), Part::Copy(b"x")]).unwrap(),
                Sent::Delivered
            );
            let pause = Some(Instant::now() + Duration::from_millis(5));
            if subscriber.recv_until(&mut message, pause, None).unwrap() == Wait::Ready {
                return;
            }
            assert!(Instant::now() < deadline);
        }
    }

    #[test]
    fn a_publisher_that_comes_back_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("ipc://{}/s", dir.path().display());
        let context = Context::new().unwrap();
        let mut subscriber = SubSocket::new(&context, &SubOptions::default()).unwrap();
        subscriber.subscribe(b"/t").unwrap();
        // Nobody is there yet.
        subscriber.connect(&address).unwrap();
        for _ in 0..2 {
            let mut publisher =
                XpubSocket::bind(&context, &address, &XpubOptions::default()).unwrap();
            publish_until_received(&mut publisher, &mut subscriber);
        }
    }

    #[test]
    fn heartbeats_and_ipv6_leave_tcp_usable() {
        let context = Context::new().unwrap();
        for host in ["127.0.0.1", "[::1]"] {
            let bound =
                XpubSocket::bind(&context, &format!("tcp://{host}:*"), &XpubOptions::default());
            let mut publisher = match bound {
                Ok(publisher) => publisher,
                // A machine without IPv6.
                Err(_) if host == "[::1]" => return,
                Err(error) => panic!("{error}"),
            };
            let mut subscriber = SubSocket::new(&context, &SubOptions::default()).unwrap();
            subscriber.subscribe(b"").unwrap();
            let address = last_endpoint(&mut publisher);
            subscriber.connect(&address).unwrap();
            publish_until_received(&mut publisher, &mut subscriber);
            subscriber.disconnect(&address).unwrap();
        }
    }

    #[test]
    fn a_silent_connection_survives_its_heartbeats() {
        let context = Context::new().unwrap();
        let pause = Duration::from_millis(20);
        let options = XpubOptions { heartbeat: pause, ..XpubOptions::default() };
        let mut publisher = XpubSocket::bind(&context, "tcp://127.0.0.1:*", &options).unwrap();
        let options = SubOptions { heartbeat: pause, ..SubOptions::default() };
        let mut subscriber = SubSocket::new(&context, &options).unwrap();
        subscriber.subscribe(b"").unwrap();
        subscriber.connect(&last_endpoint(&mut publisher)).unwrap();
        assert!(wait_subscription(&mut publisher, PATIENCE).expect("in time").subscribe);
        // Nobody leaves for want of an answer.
        assert_eq!(wait_subscription(&mut publisher, pause * 20), None);
    }
}
