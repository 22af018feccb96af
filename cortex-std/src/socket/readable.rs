//! Sockets in a tokio runtime.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::error::SocketError;
use super::raw::SocketFd;
use super::sub::SubSocket;

/// Tells when something happened at a socket that somebody else holds.
///
/// The protocol of libzmq's descriptor, which tells of changes and not of a state: use the socket
/// until it has nothing more; [`changed`](Self::changed); begin again.
#[derive(Debug)]
pub(crate) struct Readiness {
    fd: AsyncFd<SocketFd>,
}

impl Readiness {
    /// For a subscriber.
    ///
    /// # Errors
    /// When the runtime cannot watch the descriptor.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O enabled.
    pub(crate) fn of_sub(socket: &SubSocket) -> Result<Self, SocketError> {
        Self::new(socket.fd())
    }

    /// For the socket of this descriptor; otherwise as [`of_sub`](Self::of_sub).
    pub(super) fn new(fd: SocketFd) -> Result<Self, SocketError> {
        // SAFETY: libzmq's descriptor is open as long as the socket, which `SocketFd` keeps open; it
        // always gives the same number, and libzmq never replaces what is behind it.
        let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
        match fd {
            Ok(fd) => Ok(Self { fd }),
            Err(error) => Err(registration_failed(&io::Error::from(error))),
        }
    }

    /// Ready if there was a change since the last call; otherwise the next one wakes the task, of all
    /// those that ask the last one.
    ///
    /// # Errors
    /// When the runtime shuts down.
    pub(crate) fn poll_changed(&self, context: &mut Context<'_>) -> Poll<Result<(), SocketError>> {
        self.fd.poll_read_ready(context).map(|ready| match ready {
            Ok(mut guard) => {
                guard.clear_ready();
                Ok(())
            }
            Err(error) => Err(registration_failed(&error)),
        })
    }

    /// Waits for a change; returns at once if there was one since the last call.
    ///
    /// # Errors
    /// When the runtime shuts down.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn changed(&self) -> Result<(), SocketError> {
        poll_fn(|context| self.poll_changed(context)).await
    }
}

fn registration_failed(error: &io::Error) -> SocketError {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    SocketError::from_errno(errno, "watch the socket", None)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Readiness;
    use crate::socket::context::Context;
    use crate::socket::multipart::Multipart;
    use crate::socket::sub::{SubOptions, SubSocket};
    use crate::socket::xpub::tests::wait_subscription;
    use crate::socket::xpub::{Part, Sent, XpubOptions, XpubSocket};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Receives as a subscriber does.
    struct Receiver {
        readiness: Readiness,
        socket: SubSocket,
    }

    impl Receiver {
        async fn recv(&mut self, message: &mut Multipart) {
            while !self.socket.try_recv(message).unwrap() {
                self.readiness.changed().await.unwrap();
            }
        }
    }

    fn pair(dir: &tempfile::TempDir) -> (XpubSocket, Receiver) {
        let address = format!("ipc://{}/s", dir.path().display());
        let context = Context::new().unwrap();
        let options = XpubOptions { high_water_mark: 0, ..XpubOptions::default() };
        let mut publisher = XpubSocket::bind(&context, &address, &options).unwrap();
        let options = SubOptions { high_water_mark: 0, ..SubOptions::default() };
        let mut subscriber = SubSocket::new(&context, &options).unwrap();
        subscriber.subscribe(b"").unwrap();
        subscriber.connect(&address).unwrap();
        assert!(wait_subscription(&mut publisher, PATIENCE).expect("in time").subscribe);
        let readiness = Readiness::of_sub(&subscriber).unwrap();
        (publisher, Receiver { readiness, socket: subscriber })
    }

    fn send(publisher: &mut XpubSocket, number: u32) {
        let bytes = number.to_be_bytes();
        assert_eq!(
            publisher.send(&mut [Part::Copy(b"t"), Part::Copy(&bytes)]).unwrap(),
            Sent::Delivered
        );
    }

    async fn expect(subscriber: &mut Receiver, message: &mut Multipart, number: u32) {
        let received = tokio::time::timeout(PATIENCE, subscriber.recv(message)).await;
        received.expect("in time");
        assert_eq!(message.frame(1), Some(&number.to_be_bytes()[..]));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn async_receive_sees_every_message_in_order() {
        const COUNT: u32 = 50_000;
        let dir = tempfile::tempdir().unwrap();
        let (mut publisher, mut subscriber) = pair(&dir);
        let sender = std::thread::spawn(move || {
            for number in 0..COUNT {
                send(&mut publisher, number);
                // Let the receiver run dry now and then.
                if number % 97 == 0 {
                    std::thread::yield_now();
                }
            }
            publisher
        });
        let received = tokio::spawn(async move {
            let mut message = Multipart::default();
            for number in 0..COUNT {
                expect(&mut subscriber, &mut message, number).await;
            }
        });
        received.await.unwrap();
        drop(sender.join().unwrap());
    }

    #[tokio::test]
    async fn messages_one_by_one_wake_the_receiver_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let (mut publisher, mut subscriber) = pair(&dir);
        let mut message = Multipart::default();
        for number in 0..2000 {
            send(&mut publisher, number);
            expect(&mut subscriber, &mut message, number).await;
        }
    }

    #[tokio::test]
    async fn a_cancelled_receive_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (mut publisher, mut subscriber) = pair(&dir);
        let mut message = Multipart::default();
        for number in 0..500 {
            let cancelled =
                tokio::time::timeout(Duration::ZERO, subscriber.recv(&mut message)).await;
            assert!(cancelled.is_err());
            send(&mut publisher, number);
            expect(&mut subscriber, &mut message, number).await;
        }
    }
}
