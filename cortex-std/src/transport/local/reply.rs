//! The reply socket of ipc addresses. Each client has one descriptor here; when the process has few left,
//! idle clients are disconnected, and new ones wait until there is room.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use super::client::Client;
use super::listener::open_listener;
use crate::log::{LogLimit, nonzero};
use crate::stop::timespec;
use crate::transport::descriptors;
use crate::transport::error::SocketError;
use crate::transport::multipart::Multipart;
use crate::transport::zmq::frame::Frame;

/// The key of the listening sockets among those of the clients.
const LISTENER: u64 = 0;
/// Pause before accepting again after the descriptors were exhausted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A client without a request for this long may be disconnected in favour of another.
const IDLE_TIME: Duration = Duration::from_millis(500);
/// How long dropping the socket waits until the last replies are sent.
const LINGER: Duration = Duration::from_millis(200);
/// A server of any number of ipc addresses, with one request at a time.
#[derive(Debug)]
pub(crate) struct LocalReply {
    epoll: OwnedFd,
    listeners: Vec<OwnedFd>,
    clients: HashMap<u64, Client>,
    next_key: u64,
    /// Clients whose request is complete.
    requests: VecDeque<u64>,
    /// The client that waits for the reply to the last request.
    current: Option<u64>,
    /// Bytes of the longest frame and of the longest request.
    max_len: usize,
    /// When connections are accepted again.
    accept_at: Option<Instant>,
    log: LogLimit,
}

impl LocalReply {
    /// A socket that is not bound and takes requests of at most `max_len` bytes.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub(crate) fn new(max_len: usize) -> Result<Self, SocketError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        Ok(Self {
            epoll,
            listeners: Vec::new(),
            clients: HashMap::new(),
            next_key: LISTENER + 1,
            requests: VecDeque::new(),
            current: None,
            max_len,
            accept_at: None,
            log: LogLimit::default(),
        })
    }

    /// Binds to one more ipc address; a file that is there is replaced.
    ///
    /// # Errors
    /// When the address is in use or invalid.
    pub(crate) fn bind(&mut self, address: &str) -> Result<(), SocketError> {
        let listener = open_listener(address)?;
        epoll::add(&self.epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)
            .map_err(failed)?;
        self.listeners.push(listener);
        Ok(())
    }

    /// Readable when [`try_recv`](Self::try_recv) may have something to do.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// When [`try_recv`](Self::try_recv) has something to do without an event.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.accept_at
    }

    /// Serves connections without blocking; true with the next request.
    ///
    /// # Errors
    /// When the system refuses to wait or memory is exhausted.
    pub(crate) fn try_recv(&mut self, request: &mut Multipart) -> Result<bool, SocketError> {
        request.clear();
        self.handle_events()?;
        while let Some(key) = self.requests.pop_front() {
            let Some(client) = self.clients.get_mut(&key) else { continue };
            for part in client.parts.drain(..) {
                request.push(Frame::from_copy(&part)?);
            }
            self.current = Some(key);
            return Ok(true);
        }
        Ok(false)
    }

    /// Replies to the last request; false where its client disconnected.
    pub(crate) fn reply(&mut self, body: &[u8]) -> bool {
        let Some(key) = self.current.take() else { return false };
        let Some(client) = self.clients.get_mut(&key) else { return false };
        client.reply(body);
        self.update(key);
        true
    }

    /// Whether a request waits for its reply.
    pub(crate) fn owes_reply(&self) -> bool {
        self.current.is_some()
    }

    fn handle_events(&mut self) -> Result<(), SocketError> {
        let now = Instant::now();
        if self.accept_at.is_some_and(|at| at <= now) {
            self.accept_at = None;
            self.watch_listeners(EventFlags::IN);
            self.accept();
        }
        let mut events = Vec::with_capacity(64);
        let none = timespec(Duration::ZERO);
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&none)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
        for event in events {
            let (data, flags) = (event.data, event.flags);
            match data.u64() {
                LISTENER => self.accept(),
                key => {
                    if let Some(client) = self.clients.get_mut(&key)
                        && !client.is_complete
                        && !client.read(self.max_len)
                    {
                        self.disconnect(key);
                        continue;
                    }
                    if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
                        self.disconnect(key);
                        continue;
                    }
                    self.update(key);
                }
            }
        }
        Ok(())
    }

    /// Processes what a client sent and sends what waits for it.
    fn update(&mut self, key: u64) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let was_complete = client.is_complete;
        let result = client.process(self.max_len);
        if let Err(kind) = &result {
            tracing::debug!(%kind, "a client violates ZMTP; disconnected");
        }
        if result.is_err() || !client.write() {
            self.disconnect(key);
            return;
        }
        if client.is_complete && !was_complete {
            self.requests.push_back(key);
        }
        // A client with a request is read again after the reply.
        let mut flags = if client.is_complete { EventFlags::empty() } else { EventFlags::IN };
        flags.set(EventFlags::OUT, !client.output.is_empty());
        let data = EventData::new_u64(key);
        if epoll::modify(&self.epoll, &client.socket, data, flags).is_err() {
            self.disconnect(key);
        }
    }

    fn disconnect(&mut self, key: u64) {
        // Closing the descriptor removes it from the epoll set.
        self.clients.remove(&key);
    }

    fn accept(&mut self) {
        for index in 0..self.listeners.len() {
            loop {
                if descriptors::is_scarce() && !self.make_room() {
                    self.pause();
                    return;
                }
                let Some(listener) = self.listeners.get(index) else { break };
                match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                    Ok(socket) => self.add(socket),
                    Err(Errno::AGAIN) => break,
                    Err(Errno::INTR | Errno::CONNABORTED) => {}
                    Err(_) => {
                        self.pause();
                        return;
                    }
                }
            }
        }
    }

    fn add(&mut self, socket: OwnedFd) {
        let key = self.next_key;
        self.next_key = key.wrapping_add(1).max(LISTENER + 1);
        if epoll::add(&self.epoll, &socket, EventData::new_u64(key), EventFlags::IN).is_err() {
            return;
        }
        self.clients.insert(key, Client::new(socket));
        self.update(key);
    }

    /// Disconnects the client that is idle for the longest time; false where none is.
    fn make_room(&mut self) -> bool {
        let idle = self.clients.iter().filter(|(_, client)| !client.is_complete);
        let oldest = idle.min_by_key(|(_, client)| client.last);
        let oldest = oldest.filter(|(_, client)| client.last.elapsed() >= IDLE_TIME);
        let Some(key) = oldest.map(|(key, _)| *key) else { return false };
        self.disconnect(key);
        true
    }

    fn pause(&mut self) {
        self.accept_at = Some(Instant::now() + ACCEPT_PAUSE);
        self.watch_listeners(EventFlags::empty());
        if let Some(suppressed) = self.log.pass(Instant::now()) {
            let clients = self.clients.len();
            tracing::error!(
                clients,
                suppressed = nonzero(suppressed),
                "too few file descriptors are left for another client of the discovery daemon, which waits: raise the hard limit (ulimit -Hn)"
            );
        }
    }

    fn watch_listeners(&self, flags: EventFlags) {
        for listener in &self.listeners {
            if let Err(errno) =
                epoll::modify(&self.epoll, listener, EventData::new_u64(LISTENER), flags)
            {
                tracing::debug!(%errno, "cannot change what is waited for");
            }
        }
    }
}

impl Drop for LocalReply {
    fn drop(&mut self) {
        let deadline = Instant::now() + LINGER;
        for client in self.clients.values_mut() {
            while client.write() && !client.output.is_empty() && Instant::now() < deadline {
                let left = timespec(deadline.saturating_duration_since(Instant::now()));
                let _ = poll(&mut [PollFd::new(&client.socket, PollFlags::OUT)], Some(&left));
            }
        }
    }
}

fn failed(errno: Errno) -> SocketError {
    SocketError::from_errno(errno.raw_os_error(), "serve requests", None)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::wire::zmtp::{Greeting, write_ready};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn bound(max_len: usize) -> (tempfile::TempDir, LocalReply, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s").display().to_string();
        let mut server = LocalReply::new(max_len).unwrap();
        server.bind(&format!("ipc://{path}")).unwrap();
        (dir, server, path)
    }

    /// A client that has sent its side of the handshake and then `rest`.
    fn client(path: &str, rest: &[u8]) -> UnixStream {
        let mut stream = UnixStream::connect(path).unwrap();
        let mut bytes = Greeting::BYTES.to_vec();
        write_ready(&[("Socket-Type", b"REQ")], |part| bytes.extend_from_slice(part));
        bytes.extend_from_slice(rest);
        stream.write_all(&bytes).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        stream
    }

    fn next_request(server: &mut LocalReply) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + PATIENCE;
        let mut request = Multipart::default();
        while !server.try_recv(&mut request).unwrap() {
            assert!(Instant::now() < deadline);
        }
        request.iter().map(<[u8]>::to_vec).collect()
    }

    /// Serves until the client is disconnected.
    fn is_disconnected(server: &mut LocalReply, stream: &mut UnixStream) {
        let deadline = Instant::now() + PATIENCE;
        let mut request = Multipart::default();
        let mut bytes = [0; 4096];
        loop {
            assert!(!server.try_recv(&mut request).unwrap());
            match stream.read(&mut bytes) {
                Ok(0) => return,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
                _ => assert!(Instant::now() < deadline, "still connected"),
            }
        }
    }

    #[test]
    fn a_request_and_its_envelope_arrive_in_pieces_of_any_size() {
        let (_dir, mut server, path) = bound(100);
        // An identity, the empty frame, a body of two frames; then the next request.
        let mut stream = client(&path, b"");
        for byte in b"\x01\x02id\x01\x00\x01\x03one\x00\x03two\x01\x00\x00\x01x" {
            stream.write_all(&[*byte]).unwrap();
            server.handle_events().unwrap();
        }
        assert_eq!(next_request(&mut server), [b"one", b"two"]);
        assert!(server.reply(b"answer") && !server.reply(b"again"));
        let mut bytes = Vec::new();
        let expected = b"\x01\x02id\x01\x00\x00\x06answer";
        let deadline = Instant::now() + PATIENCE;
        while !bytes.ends_with(expected) {
            assert!(Instant::now() < deadline, "{bytes:?}");
            let mut chunk = [0; 256];
            let count = stream.read(&mut chunk).unwrap_or(0);
            bytes.extend_from_slice(&chunk[..count]);
        }
        assert_eq!(next_request(&mut server), [b"x"]);
    }

    #[test]
    fn a_client_that_violates_the_protocol_or_a_limit_is_disconnected_and_the_others_are_served() {
        let (_dir, mut server, path) = bound(100);
        let mut good = client(&path, b"\x01\x00\x00\x02hi");
        assert_eq!(next_request(&mut server), [b"hi"]);
        for rest in [
            // A length of 2^63, one above the limit, two frames above it together, undefined flags.
            &b"\x02\x80\0\0\0\0\0\0\0"[..],
            b"\x00\x65",
            b"\x01\x00\x01\x40aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x00\x40",
            b"\x09",
            b"\x04\x06\x05ERROR",
        ] {
            let mut bad = client(&path, rest);
            is_disconnected(&mut server, &mut bad);
        }
        let mut silent = UnixStream::connect(&path).unwrap();
        silent.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        silent.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        is_disconnected(&mut server, &mut silent);
        assert!(server.reply(b"still"));
        good.write_all(b"\x01\x00\x00\x01y").unwrap();
        assert_eq!(next_request(&mut server), [b"y"]);
    }
}
