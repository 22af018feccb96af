//! Reply sockets: the server's side of discovery, at ipc addresses without libzmq.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::choice::Transport;
use super::context::Context;
use super::error::SocketError;
use super::event::poll_until;
use super::interrupt::{Interrupt, WaitResult};
use super::local::reply::LocalReply;
use super::multipart::Multipart;
use super::zmq::frame::Frame;
use super::zmq::monitor::{self, KeepAlive};
use super::zmq::reqrep::MAX_BODY_LEN;
use super::zmq::socket::{ZmqSocket, is_tcp};

/// Bytes of the longest request.
const MAX_BODY: usize = MAX_BODY_LEN as usize;

/// How a client that disappeared without closing its connection is noticed: each has a descriptor here.
const KEEP_ALIVE: KeepAlive =
    KeepAlive { idle: Duration::from_secs(30), interval: Duration::from_secs(5), count: 3 };
/// The same while a reply is under way.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);

/// A server, with one request at a time.
///
/// Clients at ipc addresses are served without libzmq, which would abort the process when it has no descriptor
/// for one of them; `CORTEX_TRANSPORT=zmq` chooses libzmq nevertheless.
#[derive(Debug)]
pub(crate) struct RepSocket {
    socket: ZmqSocket,
    /// Once an ipc address is bound.
    local: Option<LocalReply>,
    /// The address of the last bind, where libzmq does not know it.
    local_address: Option<String>,
    context: Context,
    is_watched: bool,
    /// A request was received and not answered; libzmq requires an answer before the next one.
    owes_reply: bool,
}

impl RepSocket {
    /// A socket that is not bound.
    ///
    /// # Errors
    /// When no socket or file descriptor is left.
    pub(crate) fn new(context: &Context) -> Result<Self, SocketError> {
        let mut socket = ZmqSocket::open(context.zmq(), zmq_sys::ZMQ_REP)?;
        // The response to SHUTDOWN is sent right before the socket is closed.
        socket.set_int(zmq_sys::ZMQ_LINGER, 200)?;
        socket.set_i64(zmq_sys::ZMQ_MAXMSGSIZE, MAX_BODY_LEN)?;
        Ok(Self {
            socket,
            local: None,
            local_address: None,
            context: context.clone(),
            is_watched: false,
            owes_reply: false,
        })
    }

    /// Binds to one more address. As with [`Transport::bind`](crate::transport::Transport::bind) an ipc
    /// file is replaced, and left behind.
    ///
    /// # Errors
    /// When the address is in use or invalid.
    pub(crate) fn bind(&mut self, address: &str) -> Result<(), SocketError> {
        if self.context.transport(address) == Transport::Local {
            let local = match &mut self.local {
                Some(local) => local,
                empty => empty.insert(LocalReply::new(MAX_BODY)?),
            };
            local.bind(address)?;
            self.local_address = Some(address.to_owned());
            return Ok(());
        }
        self.local_address = None;
        if is_tcp(address) && !self.is_watched {
            let watch = monitor::Watch { keep_alive: KEEP_ALIVE, reconnected: None };
            monitor::watch(self.context.zmq(), &mut self.socket, watch)?;
            self.is_watched = true;
        }
        self.socket.set_peer_timeout(address, PEER_TIMEOUT)?;
        self.socket.bind(address)
    }

    /// The address of the last bind, with the port that the system chose.
    ///
    /// # Errors
    /// When the socket fails.
    pub(crate) fn last_endpoint(&mut self) -> Result<String, SocketError> {
        match &self.local_address {
            Some(address) => Ok(address.clone()),
            None => self.socket.last_endpoint(),
        }
    }

    /// Blocks until a request: one part from a Cortex client, any number from others.
    ///
    /// A previous request without an answer gets an empty reply first.
    ///
    /// # Errors
    /// When the socket fails.
    pub(crate) fn recv(
        &mut self,
        request: &mut Multipart,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError> {
        if self.owes_reply || self.local.as_ref().is_some_and(LocalReply::owes_reply) {
            self.send(&[])?;
        }
        loop {
            // First, so that a flood does not hide an interrupt.
            if interrupt.is_some_and(Interrupt::is_woken) {
                request.clear();
                return Ok(WaitResult::Interrupted);
            }
            if let Some(local) = &mut self.local
                && local.try_recv(request)?
            {
                return Ok(WaitResult::Ready);
            }
            if self.socket.recv_multipart(request)? {
                self.owes_reply = true;
                return Ok(WaitResult::Ready);
            }
            let due = self.local.as_ref().and_then(LocalReply::due);
            let until = [deadline, due].into_iter().flatten().min();
            let events = self.socket.events();
            let local = self.local.as_ref().map(LocalReply::fd);
            let fds = interrupt.map(Interrupt::fd).into_iter().chain([events.as_fd()]).chain(local);
            let mut fds: Vec<_> =
                fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
            let wait = poll_until(&mut fds, until, interrupt.is_some())?;
            let is_over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if wait != WaitResult::Ready && (wait != WaitResult::TimedOut || is_over) {
                return Ok(wait);
            }
        }
    }

    /// Replies to the last request; the reply is dropped if the client disconnected.
    ///
    /// # Errors
    /// Without a request to reply to, or when memory is exhausted.
    pub(crate) fn send(&mut self, reply: &[u8]) -> Result<(), SocketError> {
        if let Some(local) = &mut self.local
            && local.owes_reply()
        {
            if !local.reply(reply) {
                tracing::debug!("a reply was dropped: the client disconnected");
            }
            return Ok(());
        }
        let mut frame = Frame::from_copy(reply)?;
        // A reply has a route or is dropped, so this never blocks.
        if !self.socket.send(&mut frame, 0)? {
            tracing::debug!("a reply was dropped: the client disconnected");
        }
        self.owes_reply = false;
        Ok(())
    }
}
