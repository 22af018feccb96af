//! The subscriber's socket on libzmq.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::context::Context;
use super::monitor::{self, KeepAlive};
use super::socket::{ZmqSocket, is_tcp};
use crate::transport::error::SocketError;
use crate::transport::event::EventSource;
use crate::transport::interrupt::{Interrupt, WaitResult};
use crate::transport::multipart::Multipart;
use crate::transport::socket::{SubscriberOptions, SubscriberSocket, limit_of_len};

/// How long one attempt to connect over tcp may take. The kernel retries at growing intervals, so a new
/// attempt finds a publisher sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How a publisher that disappeared without closing the connection is noticed: after five seconds.
const KEEP_ALIVE: KeepAlive =
    KeepAlive { idle: Duration::from_secs(2), interval: Duration::from_secs(1), count: 3 };
/// The same while a subscription is under way.
const PEER_TIMEOUT: Duration = Duration::from_secs(5);

/// A SUB socket.
#[derive(Debug)]
pub(crate) struct ZmqSubscriber {
    socket: ZmqSocket,
    context: Context,
    /// Counts reconnections once the socket is watched, which only tcp needs.
    reconnected: Arc<AtomicU64>,
    is_watched: bool,
    max_queue_bytes: usize,
    /// The high-water mark that is set; it never grows, as that of a publisher.
    high_water_mark: i32,
}

impl ZmqSubscriber {
    /// A socket without a connection and without a subscription.
    ///
    /// # Errors
    /// When no socket or file descriptor is left.
    pub(crate) fn new(context: &Context, options: &SubscriberOptions) -> Result<Self, SocketError> {
        let mut socket = ZmqSocket::open(context, zmq_sys::ZMQ_SUB)?;
        socket.set_int(zmq_sys::ZMQ_RCVHWM, options.high_water_mark)?;
        socket.set_int(zmq_sys::ZMQ_LINGER, 0)?;
        socket.set_millis(zmq_sys::ZMQ_RECONNECT_IVL, options.reconnect)?;
        socket.set_millis(zmq_sys::ZMQ_RECONNECT_IVL_MAX, options.reconnect_max)?;
        socket.set_i64(zmq_sys::ZMQ_MAXMSGSIZE, options.max_frame_len)?;
        Ok(Self {
            socket,
            context: context.clone(),
            reconnected: Arc::clone(&options.reconnected),
            is_watched: false,
            max_queue_bytes: options.max_queue_bytes,
            high_water_mark: options.high_water_mark,
        })
    }

    /// Limits the queue by the length of a message that was received.
    fn limit_queue(&mut self, message: &Multipart) -> Result<(), SocketError> {
        let len = message.iter().map(<[u8]>::len).sum();
        let limit = limit_of_len(self.high_water_mark, self.max_queue_bytes, len);
        if limit != 0 && limit != self.high_water_mark {
            self.socket.set_int(zmq_sys::ZMQ_RCVHWM, limit)?;
            self.high_water_mark = limit;
        }
        Ok(())
    }
}

impl SubscriberSocket for ZmqSubscriber {
    fn connect(&mut self, address: &str) -> Result<(), SocketError> {
        if is_tcp(address) && !self.is_watched {
            let reconnected = Some(Arc::clone(&self.reconnected));
            let watch = monitor::Watch { keep_alive: KEEP_ALIVE, reconnected };
            monitor::watch(&self.context, &mut self.socket, watch)?;
            self.is_watched = true;
        }
        self.socket.set_peer_timeout(address, PEER_TIMEOUT)?;
        self.socket.set_millis(zmq_sys::ZMQ_CONNECT_TIMEOUT, CONNECT_TIMEOUT)?;
        self.socket.connect(address)
    }

    fn disconnect(&mut self, address: &str) -> Result<(), SocketError> {
        self.socket.disconnect(address)
    }

    fn subscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        self.socket.set_bytes(zmq_sys::ZMQ_SUBSCRIBE, prefix)
    }

    fn unsubscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError> {
        self.socket.set_bytes(zmq_sys::ZMQ_UNSUBSCRIBE, prefix)
    }

    fn try_recv(&mut self, message: &mut Multipart) -> Result<bool, SocketError> {
        let is_received = self.socket.recv_multipart(message)?;
        if is_received {
            self.limit_queue(message)?;
        }
        Ok(is_received)
    }

    fn recv_until(
        &mut self,
        message: &mut Multipart,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError> {
        let wait = self.socket.recv_until(message, deadline, interrupt)?;
        if wait == WaitResult::Ready {
            self.limit_queue(message)?;
        }
        Ok(wait)
    }

    fn events(&self) -> EventSource {
        self.socket.events()
    }
}
