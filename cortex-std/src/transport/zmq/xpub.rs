//! The publisher's socket on libzmq.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::accepted::Accepted;
use super::context::Context;
use super::frame::{Frame, released_on_this_thread};
use super::monitor::{self, KeepAlive};
use super::socket::{SNDMORE, ZmqSocket, is_tcp};
use crate::transport::choice::Transport;
use crate::transport::error::SocketError;
use crate::transport::event::EventSource;
use crate::transport::interrupt::{Interrupt, WaitResult};
use crate::transport::socket::{
    Part, PeerList, PublisherOptions, PublisherSocket, Sent, SubscriptionEvent, TrySent,
    limit_of_len, make_frames,
};

/// Bytes of a part for which the kernel's default buffer is too small to be fast.
const LARGE_LEN: usize = 64 * 1024;

/// How a subscriber that disappeared without closing the connection is noticed while nothing is sent: after
/// eight seconds.
const KEEP_ALIVE: KeepAlive =
    KeepAlive { idle: Duration::from_secs(5), interval: Duration::from_secs(1), count: 3 };
/// The same while messages are sent. It also ends the connection of a subscriber that reads nothing for so
/// long while its queue is full, which a slow subscriber must not reach.
const PEER_TIMEOUT: Duration = Duration::from_secs(60);

/// An XPUB socket.
#[derive(Debug)]
pub(crate) struct ZmqPublisher {
    socket: ZmqSocket,
    accepted: Option<Accepted>,
    options: PublisherOptions,
    /// The high-water mark that is set. It never grows: libzmq would forget to wake a sender that waits
    /// for the lower one.
    high_water_mark: i32,
    /// Messages whose last frame libzmq has not released.
    unsent: Arc<AtomicUsize>,
    /// Current subscriptions.
    subscriptions: usize,
    /// Whether libzmq may skip a subscriber whose queue was full.
    may_skip: bool,
}

impl ZmqPublisher {
    /// A socket that is bound to `address`. An ipc address replaces the file that is there.
    ///
    /// # Errors
    /// When the address is in use or invalid, or no socket or file descriptor is left.
    pub(crate) fn bind(
        context: &Context,
        address: &str,
        options: &PublisherOptions,
    ) -> Result<Self, SocketError> {
        let mut socket = ZmqSocket::open(context, zmq_sys::ZMQ_XPUB)?;
        socket.set_int(zmq_sys::ZMQ_SNDHWM, options.high_water_mark)?;
        socket.set_millis(zmq_sys::ZMQ_LINGER, options.linger)?;
        socket.set_i64(zmq_sys::ZMQ_MAXMSGSIZE, options.max_subscription_len)?;
        socket.set_int(zmq_sys::ZMQ_XPUB_VERBOSER, 1)?;
        socket.set_int(zmq_sys::ZMQ_XPUB_NODROP, 1)?;
        if is_tcp(address) {
            let watch = monitor::Watch { keep_alive: KEEP_ALIVE, reconnected: None };
            monitor::watch(context, &mut socket, watch)?;
        }
        socket.set_peer_timeout(address, PEER_TIMEOUT)?;
        socket.bind(address)?;
        Ok(Self {
            socket,
            accepted: Accepted::at(address),
            high_water_mark: options.high_water_mark,
            options: options.clone(),
            unsent: Arc::default(),
            subscriptions: 0,
            may_skip: false,
        })
    }

    /// Makes frames of the parts, counts the message as unsent, and limits the queues by its length.
    fn prepare(&mut self, parts: &mut [Part<'_>]) -> Result<(), SocketError> {
        let len = parts.iter().map(Part::len).sum();
        let PublisherOptions { high_water_mark, max_queue_bytes, .. } = self.options;
        let limit = limit_of_len(high_water_mark, max_queue_bytes, len);
        let is_lower = self.high_water_mark == 0 || limit < self.high_water_mark;
        if limit != 0 && is_lower {
            self.socket.set_int(zmq_sys::ZMQ_SNDHWM, limit)?;
            self.high_water_mark = limit;
        }
        make_frames(parts)?;
        // The last frame, which libzmq releases last.
        if let Some(last) = parts.last_mut()
            && let Part::Frame(frame) = last
        {
            *last = Part::Counted(std::mem::take(frame).counted(&self.unsent)?);
        }
        Ok(())
    }

    /// Sends to all subscribers or to none, by the state of the queues as it is now.
    ///
    /// For about a millisecond libzmq's send does not see what its subscribers took meanwhile, so a short
    /// queue that is drained in step seems full: process its events and try once more.
    fn send_to_all(&mut self, parts: &mut [Part<'_>]) -> Result<TrySent, SocketError> {
        let sent = self.transmit(parts)?;
        if sent != TrySent::WouldBlock {
            return Ok(sent);
        }
        self.socket.progress()?;
        self.transmit(parts)
    }

    /// What became of a message that libzmq accepted, released on this thread or not.
    ///
    /// A subscriber whose queue was full is skipped until it has read half of it. Until then the queue holds
    /// half of its messages at least, and these are unsent.
    fn sent(&mut self, is_released: bool) -> TrySent {
        if !self.may_skip {
            return TrySent::Delivered;
        }
        let is_skipped = match self.subscriptions {
            0 => false,
            1 => is_released,
            _ => is_released || self.unsent().saturating_mul(2) >= self.queue_limit(),
        };
        self.may_skip = is_skipped;
        if is_skipped { TrySent::Skipped } else { TrySent::Delivered }
    }

    /// Sends frames; `WouldBlock` can only come before the first.
    fn transmit(&mut self, parts: &mut [Part<'_>]) -> Result<TrySent, SocketError> {
        if let Some(accepted) = &mut self.accepted
            && accepted.has_new()
            && parts.iter().any(|part| part.len() >= LARGE_LEN)
        {
            accepted.enlarge_buffers();
        }
        let mut left = parts.len();
        let mut begun = false;
        let released = released_on_this_thread();
        for part in parts {
            left = left.saturating_sub(1);
            let (Part::Frame(frame) | Part::Counted(frame)) = part else { continue };
            let flags = if left > 0 { SNDMORE } else { 0 };
            if !self.socket.send(frame, flags)? {
                if !begun {
                    return Ok(TrySent::WouldBlock);
                }
                // A queue is counted in messages, so the first part decides and this cannot happen.
                return Err(SocketError::from_errno(libc::EAGAIN, "send", None));
            }
            begun = true;
        }
        Ok(self.sent(released_on_this_thread() != released))
    }
}

impl PublisherSocket for ZmqPublisher {
    fn transport(&self) -> Transport {
        Transport::Zmq
    }

    fn address(&mut self) -> Result<String, SocketError> {
        self.socket.last_endpoint()
    }

    fn send(&mut self, parts: &mut [Part<'_>]) -> Result<Sent, SocketError> {
        self.prepare(parts)?;
        match self.send_to_all(parts)? {
            TrySent::Delivered => return Ok(Sent::Delivered),
            TrySent::Skipped => return Ok(Sent::Congested),
            TrySent::WouldBlock => {}
        }
        // No part is sent yet. Without NODROP libzmq sends to the subscribers that have room.
        self.socket.set_int(zmq_sys::ZMQ_XPUB_NODROP, 0)?;
        let sent = self.transmit(parts);
        // Fails only when the context ends, and then the option does not matter.
        let restored = self.socket.set_int(zmq_sys::ZMQ_XPUB_NODROP, 1);
        let _ = sent?;
        restored?;
        self.may_skip = true;
        Ok(Sent::Congested)
    }

    fn send_to(&mut self, _peer: u64, parts: &mut [Part<'_>]) -> Result<Sent, SocketError> {
        // libzmq names no peer, so this is not called.
        self.send(parts)
    }

    fn peers(&self) -> Option<Weak<dyn PeerList>> {
        None
    }

    fn try_send(&mut self, parts: &mut [Part<'_>]) -> Result<TrySent, SocketError> {
        self.prepare(parts)?;
        self.send_to_all(parts)
    }

    /// An XPUB always reports that it is writable, so this waits for any event.
    fn wait_for_room(
        &mut self,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError> {
        let wait = self.socket.wait(deadline, interrupt)?;
        self.socket.progress()?;
        Ok(wait)
    }

    fn next_subscription(&mut self) -> Result<Option<SubscriptionEvent>, SocketError> {
        let mut frame = Frame::empty();
        while self.socket.recv(&mut frame)? {
            // Any other frame is data of an XSUB peer, which has no meaning here.
            if let [first @ (0 | 1), topic @ ..] = frame.as_slice() {
                if let Some(accepted) = &mut self.accepted {
                    accepted.record_change();
                }
                self.subscriptions = match *first {
                    1 => self.subscriptions.saturating_add(1),
                    _ => self.subscriptions.saturating_sub(1),
                };
                return Ok(Some(SubscriptionEvent {
                    subscribe: *first == 1,
                    topic: topic.to_vec(),
                    peer: None,
                }));
            }
        }
        Ok(None)
    }

    fn unsent(&self) -> usize {
        self.unsent.load(Ordering::SeqCst)
    }

    fn release(&mut self) -> Result<(), SocketError> {
        self.socket.progress()
    }

    fn queue_limit(&self) -> usize {
        usize::try_from(self.high_water_mark).unwrap_or(0)
    }

    fn discard_unsent(&mut self) -> Result<(), SocketError> {
        self.socket.set_int(zmq_sys::ZMQ_LINGER, 0)
    }

    fn bind_again(&mut self) -> Result<(), SocketError> {
        let address = self.socket.last_endpoint()?;
        self.socket.bind(&address)
    }

    fn events(&self) -> EventSource {
        self.socket.events()
    }
}
