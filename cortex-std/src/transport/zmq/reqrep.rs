//! Request sockets on libzmq.

use std::time::Instant;

use super::frame::Frame;
use super::socket::ZmqSocket;
use crate::transport::context::Context;
use crate::transport::error::SocketError;
use crate::transport::interrupt::{Interrupt, WaitResult};
use crate::transport::multipart::Multipart;
#[cfg(feature = "tokio")]
use crate::transport::readiness::Readiness;

/// Bytes of the longest request and the longest reply.
pub(crate) const MAX_BODY_LEN: i64 = 16 * 1024 * 1024;

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RequestError {
    /// No reply arrived before the deadline; the next request may follow at once.
    #[error("no reply in time")]
    TimedOut,
    /// The interrupt is set.
    #[error("interrupted while waiting for a reply")]
    Interrupted,
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] SocketError),
}

/// A client of one server, with one request at a time.
#[derive(Debug)]
pub(crate) struct ReqSocket {
    context: Context,
    address: Box<str>,
    /// `None` after a request without a reply.
    socket: Option<ZmqSocket>,
}

impl ReqSocket {
    /// A client of the server at `address`, which need not run yet.
    ///
    /// # Errors
    /// When the address is invalid or no file descriptor is left.
    pub(crate) fn connect(context: &Context, address: &str) -> Result<Self, SocketError> {
        let socket = Some(open_req(context, address)?);
        Ok(Self { context: context.clone(), address: address.into(), socket })
    }

    /// Connects to another address of the same server from the next request on.
    pub(crate) fn redirect(&mut self, address: &str) {
        self.address = address.into();
        self.socket = None;
    }

    /// Sends `body` and blocks until the reply; returns its first part.
    ///
    /// Without a reply in time the connection is closed, and a request that is not sent yet is discarded, so
    /// it does not reach a server that starts later. A request that was sent may still be served.
    ///
    /// # Errors
    /// `TimedOut`, `Interrupted`, or the error of the socket. The next request is independent of it.
    pub(crate) fn request(
        &mut self,
        body: &[u8],
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<Frame, RequestError> {
        // Taken: only a socket that served its request is put back.
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => open_req(&self.context, &self.address)?,
        };
        let mut request = Frame::from_copy(body)?;
        while !socket.send(&mut request, 0)? {
            match socket.wait(deadline, interrupt)? {
                WaitResult::Ready => {}
                WaitResult::TimedOut => return Err(RequestError::TimedOut),
                WaitResult::Interrupted => return Err(RequestError::Interrupted),
            }
        }
        let mut reply = Multipart::default();
        match socket.recv_until(&mut reply, deadline, interrupt)? {
            WaitResult::Ready => {}
            WaitResult::TimedOut => return Err(RequestError::TimedOut),
            WaitResult::Interrupted => return Err(RequestError::Interrupted),
        }
        self.socket = Some(socket);
        Ok(reply.into_first().unwrap_or_default())
    }

    /// Sends `body` and waits for the reply in a tokio runtime, without a time limit.
    ///
    /// # Errors
    /// The error of the socket. The next request is independent of it.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O enabled.
    ///
    /// # Cancel safety
    /// As after a request without a reply in time.
    #[cfg(feature = "tokio")]
    pub(crate) async fn request_async(&mut self, body: &[u8]) -> Result<Frame, RequestError> {
        // Taken: a request whose future is dropped closes the socket.
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => open_req(&self.context, &self.address)?,
        };
        let readiness = Readiness::new(socket.events())?;
        let mut request = Frame::from_copy(body)?;
        while !socket.send(&mut request, 0)? {
            readiness.changed().await?;
        }
        let mut reply = Multipart::default();
        while !socket.recv_multipart(&mut reply)? {
            readiness.changed().await?;
        }
        drop(readiness);
        self.socket = Some(socket);
        Ok(reply.into_first().unwrap_or_default())
    }
}

fn open_req(context: &Context, address: &str) -> Result<ZmqSocket, SocketError> {
    let mut socket = ZmqSocket::open(context.zmq(), zmq_sys::ZMQ_REQ)?;
    socket.set_int(zmq_sys::ZMQ_LINGER, 0)?;
    socket.set_int(zmq_sys::ZMQ_REQ_RELAXED, 1)?;
    socket.set_int(zmq_sys::ZMQ_REQ_CORRELATE, 1)?;
    socket.set_int(zmq_sys::ZMQ_RECONNECT_IVL, 10)?;
    socket.set_int(zmq_sys::ZMQ_RECONNECT_IVL_MAX, 1000)?;
    socket.set_i64(zmq_sys::ZMQ_MAXMSGSIZE, MAX_BODY_LEN)?;
    socket.connect(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::transport::reply::RepSocket;
    use crate::transport::zmq::socket::SNDMORE;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn soon() -> Instant {
        Instant::now() + PATIENCE
    }

    fn address(dir: &tempfile::TempDir) -> String {
        format!("ipc://{}/r", dir.path().display())
    }

    /// Answers with the request, its parts joined, until interrupted.
    fn serve(mut socket: RepSocket, stop: Interrupt) -> std::thread::JoinHandle<()> {
        std::thread::spawn(move || {
            let mut request = Multipart::default();
            while socket.recv(&mut request, None, Some(&stop)).unwrap() == WaitResult::Ready {
                let body = request.iter().collect::<Vec<_>>().concat();
                if body != b"silence" {
                    socket.send(&body).unwrap();
                }
            }
        })
    }

    #[test]
    fn request_times_out_and_the_socket_stays_usable() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::new().unwrap();
        let mut client = ReqSocket::connect(&context, &address(&dir)).unwrap();
        for _ in 0..2 {
            let deadline = Instant::now() + Duration::from_millis(5);
            let error = client.request(b"lost", Some(deadline), None).unwrap_err();
            assert_eq!(error, RequestError::TimedOut);
        }
        let mut server = RepSocket::new(&context).unwrap();
        server.bind(&address(&dir)).unwrap();
        let asked = std::thread::spawn(move || {
            let reply = client.request(b"hello", Some(soon()), None).unwrap();
            assert_eq!(reply.as_slice(), b"hi");
            client
        });
        // The server receives only the request that a client waits for.
        let mut request = Multipart::default();
        assert_eq!(server.recv(&mut request, Some(soon()), None).unwrap(), WaitResult::Ready);
        assert_eq!(request.iter().collect::<Vec<_>>(), [b"hello"]);
        server.send(b"hi").unwrap();
        drop(asked.join().unwrap());
    }

    #[test]
    fn a_late_reply_is_not_taken_for_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::new().unwrap();
        let mut server = RepSocket::new(&context).unwrap();
        server.bind(&address(&dir)).unwrap();
        let mut client = ReqSocket::connect(&context, &address(&dir)).unwrap();
        let mut request = Multipart::default();
        let stop = Interrupt::new().unwrap();
        let late = stop.clone();
        let asked = std::thread::spawn(move || {
            let error = client.request(b"first", Some(soon()), Some(&late)).unwrap_err();
            assert_eq!(error, RequestError::Interrupted);
            late.clear();
            client.request(b"second", Some(soon()), Some(&late)).unwrap()
        });
        assert_eq!(server.recv(&mut request, Some(soon()), None).unwrap(), WaitResult::Ready);
        stop.wake();
        while stop.is_woken() {
            std::thread::yield_now();
        }
        server.send(b"to the first").unwrap();
        assert_eq!(server.recv(&mut request, Some(soon()), None).unwrap(), WaitResult::Ready);
        server.send(b"to the second").unwrap();
        assert_eq!(asked.join().unwrap().as_slice(), b"to the second");
    }

    #[test]
    fn several_addresses_are_served_by_one_socket() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::new().unwrap();
        let mut server = RepSocket::new(&context).unwrap();
        server.bind(&address(&dir)).unwrap();
        server.bind("tcp://127.0.0.1:*").unwrap();
        let tcp = server.last_endpoint().unwrap();
        let stop = Interrupt::new().unwrap();
        let served = serve(server, stop.clone());
        for at in [address(&dir), tcp] {
            let mut client = ReqSocket::connect(&context, &at).unwrap();
            for body in [&b"one"[..], b"", &[7; 100_000]] {
                assert_eq!(client.request(body, Some(soon()), None).unwrap().as_slice(), body);
            }
        }
        stop.wake();
        served.join().unwrap();
    }

    #[test]
    fn garbage_gets_an_answer_and_the_server_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::new().unwrap();
        let mut server = RepSocket::new(&context).unwrap();
        server.bind(&address(&dir)).unwrap();
        let stop = Interrupt::new().unwrap();
        let served = serve(server, stop.clone());

        // No envelope at all: libzmq drops it. Then an envelope, and a request of three parts.
        let mut dealer = ZmqSocket::open(context.zmq(), zmq_sys::ZMQ_DEALER).unwrap();
        dealer.set_int(zmq_sys::ZMQ_LINGER, 0).unwrap();
        dealer.connect(&address(&dir)).unwrap();
        let mut send = |bytes: &[u8], flags| {
            assert!(dealer.send(&mut Frame::from_copy(bytes).unwrap(), flags).unwrap());
        };
        send(b"no envelope", 0);
        send(b"", SNDMORE);
        send(b"a", SNDMORE);
        send(b"b", SNDMORE);
        send(b"c", 0);
        let mut reply = Multipart::default();
        assert_eq!(dealer.recv_until(&mut reply, Some(soon()), None).unwrap(), WaitResult::Ready);
        assert_eq!(reply.iter().collect::<Vec<_>>(), [&b""[..], b"abc"]);

        // A request that the server forgot to answer gets an empty reply, and the next its own.
        let mut client = ReqSocket::connect(&context, &address(&dir)).unwrap();
        assert_eq!(client.request(b"silence", Some(soon()), None).unwrap().as_slice(), b"");
        assert_eq!(client.request(b"again", Some(soon()), None).unwrap().as_slice(), b"again");
        stop.wake();
        served.join().unwrap();
    }

    #[test]
    fn a_client_that_left_does_not_stop_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::new().unwrap();
        let mut server = RepSocket::new(&context).unwrap();
        server.bind(&address(&dir)).unwrap();
        let mut client = ReqSocket::connect(&context, &address(&dir)).unwrap();
        let stop = Interrupt::new().unwrap();
        let gone = stop.clone();
        let asked = std::thread::spawn(move || {
            drop(client.request(b"and gone", Some(soon()), Some(&gone)));
        });
        let mut request = Multipart::default();
        assert_eq!(server.recv(&mut request, Some(soon()), None).unwrap(), WaitResult::Ready);
        stop.wake();
        asked.join().unwrap();
        server.send(b"too late").unwrap();
        assert!(server.send(b"to no client").is_err());
        let served = serve(server, {
            stop.clear();
            stop.clone()
        });
        let mut client = ReqSocket::connect(&context, &address(&dir)).unwrap();
        assert_eq!(client.request(b"x", Some(soon()), None).unwrap().as_slice(), b"x");
        stop.wake();
        served.join().unwrap();
    }
}
