//! What happens to tcp connections: counted, logged, and checked for life by the kernel.
//!
//! libzmq's own heartbeats are not used: its timer is cleared by whole messages only, so it cuts a
//! connection on which one message takes longer than the timeout. TCP keepalive probes the peer while a
//! connection is silent, and TCP_USER_TIMEOUT limits how long sent bytes stay unacknowledged; neither ends a
//! connection that makes progress. This build of libzmq ignores its keepalive options, so the settings are
//! made here, on the descriptor that libzmq's socket monitor reports.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt;

use super::context::Context;
use super::frame::Frame;
use super::socket::ZmqSocket;
use crate::mutex::Mutex;
use crate::transport::error::SocketError;
use crate::transport::interrupt::Interrupt;

/// How the kernel checks whether the peer of a silent tcp connection exists.
#[derive(Debug, Clone, Copy)]
pub(in crate::transport) struct KeepAlive {
    /// Silence before the first probe.
    pub(in crate::transport) idle: Duration,
    /// Interval of the probes.
    pub(in crate::transport) interval: Duration,
    /// Probes without an answer after which the connection is closed.
    pub(in crate::transport) count: u32,
}

/// What is done with the events of a socket.
#[derive(Debug, Clone)]
pub(in crate::transport) struct Watch {
    pub(in crate::transport) keep_alive: KeepAlive,
    /// Counts connections to an address that was connected before; `None` for a socket that is bound.
    pub(in crate::transport) reconnected: Option<Arc<AtomicU64>>,
}

const EVENTS: u32 = zmq_sys::ZMQ_EVENT_CONNECTED
    | zmq_sys::ZMQ_EVENT_ACCEPTED
    | zmq_sys::ZMQ_EVENT_HANDSHAKE_SUCCEEDED
    | zmq_sys::ZMQ_EVENT_DISCONNECTED
    | zmq_sys::ZMQ_EVENT_MONITOR_STOPPED;

/// Watches the tcp connections of `socket` until it is closed. To be called before it binds or connects.
///
/// # Errors
/// When no socket, descriptor or thread is left.
pub(in crate::transport) fn watch(
    context: &Context,
    socket: &mut ZmqSocket,
    watch: Watch,
) -> Result<(), SocketError> {
    let events = socket.monitor(context, EVENTS)?;
    let mut state = STATE.lock();
    let wake = match &state.wake {
        Some(wake) => wake.clone(),
        None => {
            let wake = Interrupt::new()?;
            let token = wake.clone();
            let thread = std::thread::Builder::new().name("cortex-monitor".to_owned());
            thread.spawn(move || run(&token)).map_err(|error| {
                let errno = error.raw_os_error().unwrap_or(libc::EAGAIN);
                SocketError::from_errno(errno, "start a thread", None)
            })?;
            state.wake.insert(wake).clone()
        }
    };
    state.added.push(Monitored { events, watch, peers: HashMap::new() });
    drop(state);
    wake.wake();
    Ok(())
}

/// Sockets that the thread has not taken yet.
struct State {
    wake: Option<Interrupt>,
    added: Vec<Monitored>,
}

static STATE: Mutex<State> = Mutex::new(State { wake: None, added: Vec::new() });

/// One socket whose connections are watched.
struct Monitored {
    events: ZmqSocket,
    watch: Watch,
    /// Whether each address that was ever connected is connected now.
    peers: HashMap<String, bool>,
}

/// The thread: one for the process, as it has next to nothing to do.
fn run(wake: &Interrupt) {
    let mut sockets = Vec::<Monitored>::new();
    loop {
        wake.clear();
        sockets.append(&mut STATE.lock().added);
        sockets.retain_mut(Monitored::handle_events);
        let sources: Vec<_> = sockets.iter().map(|monitored| monitored.events.events()).collect();
        let fds = std::iter::once(wake.fd()).chain(sources.iter().map(AsFd::as_fd));
        let mut fds: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        // The loop handles all events, whichever ended the wait.
        let _ = poll(&mut fds, None);
    }
}

impl Monitored {
    /// Handles what has happened; false once the socket is closed.
    fn handle_events(&mut self) -> bool {
        let (mut event, mut address) = (Frame::empty(), Frame::empty());
        loop {
            match self.events.recv(&mut event) {
                Ok(true) => {}
                Ok(false) => return true,
                // The context ends.
                Err(_) => return false,
            }
            if !matches!(self.events.recv(&mut address), Ok(true)) {
                return false;
            }
            let Some((kind, value)) = event.as_slice().split_first_chunk::<2>() else { continue };
            let value = value.first_chunk().map_or(0, |value| u32::from_ne_bytes(*value));
            match u32::from(u16::from_ne_bytes(*kind)) {
                zmq_sys::ZMQ_EVENT_MONITOR_STOPPED => return false,
                zmq_sys::ZMQ_EVENT_CONNECTED | zmq_sys::ZMQ_EVENT_ACCEPTED => {
                    self.watch.keep_alive.set(value);
                }
                zmq_sys::ZMQ_EVENT_HANDSHAKE_SUCCEEDED => self.connected(&address),
                zmq_sys::ZMQ_EVENT_DISCONNECTED => self.disconnected(&address),
                _ => {}
            }
        }
    }

    fn connected(&mut self, address: &Frame) {
        let Some(reconnected) = &self.watch.reconnected else { return };
        let address = String::from_utf8_lossy(address.as_slice()).into_owned();
        if self.peers.insert(address.clone(), true).is_some() {
            let count = reconnected.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            tracing::warn!(
                address,
                count,
                "connected to the publisher again; messages that were under way are lost"
            );
        }
    }

    fn disconnected(&mut self, address: &Frame) {
        let address = String::from_utf8_lossy(address.as_slice());
        if let Some(is_connected) = self.peers.get_mut(&*address)
            && std::mem::replace(is_connected, false)
        {
            tracing::info!(%address, "the connection to the publisher ended; connecting again");
        }
    }
}

impl KeepAlive {
    /// Applies the settings to a tcp connection of libzmq.
    fn set(self, descriptor: u32) {
        let Ok(descriptor) = RawFd::try_from(descriptor) else { return };
        // SAFETY: libzmq has just reported the descriptor and closes it only after an error of the
        // connection. A number that was closed meanwhile gives an error, or names another socket, for
        // which the settings are harmless; nothing is read, written or closed here.
        let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let set = sockopt::set_socket_keepalive(socket, true)
            .and_then(|()| sockopt::set_tcp_keepidle(socket, self.idle))
            .and_then(|()| sockopt::set_tcp_keepintvl(socket, self.interval))
            .and_then(|()| sockopt::set_tcp_keepcnt(socket, self.count));
        if let Err(errno) = set {
            tracing::debug!(%errno, "a tcp connection is not probed while it is silent");
        }
    }
}
