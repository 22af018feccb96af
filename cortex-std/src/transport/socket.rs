//! The sockets of publishers and subscribers, as every transport offers them.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::choice::Transport;
use super::error::SocketError;
use super::event::EventSource;
use super::interrupt::{Interrupt, WaitResult};
use super::multipart::Multipart;
use super::zmq::frame::Frame;
use crate::stats::{PeerStats, SharedStats};

/// Messages that may wait for one subscriber, and for its reader, by default: as in Python.
pub(crate) const DEFAULT_QUEUE: i32 = 10;
/// Bytes that may wait there by default.
pub(crate) const DEFAULT_QUEUE_BYTES: usize = 256 << 20;

/// Settings of a [`PublisherSocket`].
#[derive(Debug, Clone)]
pub(crate) struct PublisherOptions {
    /// Messages that may wait for one subscriber; 0 is no limit.
    pub(crate) high_water_mark: i32,
    /// Bytes that may wait for one subscriber; 0 is no limit. Two messages may wait, however long they are.
    pub(crate) max_queue_bytes: usize,
    /// How long messages that are not sent yet may still be sent after the socket is closed.
    pub(crate) linger: Duration,
    /// Bytes of the longest subscription a peer may send; a longer one costs it the connection.
    pub(crate) max_subscription_len: i64,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self {
            high_water_mark: DEFAULT_QUEUE,
            max_queue_bytes: DEFAULT_QUEUE_BYTES,
            linger: Duration::ZERO,
            max_subscription_len: 64 * 1024,
        }
    }
}

/// Settings of a [`SubscriberSocket`].
#[derive(Debug, Clone)]
pub(crate) struct SubscriberOptions {
    /// Messages of each publisher that may wait here; 0 is no limit. Later ones are lost.
    pub(crate) high_water_mark: i32,
    /// The name of the subscriber's node.
    pub(crate) node: Option<Arc<str>>,
    /// The length of the queue that the subscriber's user chose: the local transport's publishers keep
    /// about as many messages for it, those in the kernel included. `None`: as libzmq.
    pub(crate) window: Option<u32>,
    /// Bytes of each publisher that may wait here once the first message was received; 0 is no limit. Two
    /// messages may wait, however long they are.
    pub(crate) max_queue_bytes: usize,
    /// The first pause before a reconnection.
    pub(crate) reconnect: Duration,
    /// The longest pause before a reconnection; the pause doubles up to here.
    pub(crate) reconnect_max: Duration,
    /// Bytes of the longest part that a publisher may send, -1 for no limit.
    pub(crate) max_frame_len: i64,
    /// Counts connections to an address that was connected before.
    pub(crate) reconnected: Arc<AtomicU64>,
}

impl Default for SubscriberOptions {
    fn default() -> Self {
        Self {
            high_water_mark: DEFAULT_QUEUE,
            max_queue_bytes: DEFAULT_QUEUE_BYTES,
            window: None,
            node: None,
            reconnect: Duration::from_millis(10),
            reconnect_max: Duration::from_secs(1),
            max_frame_len: -1,
            reconnected: Arc::default(),
        }
    }
}

/// One part of a message to send.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// Bytes that are copied.
    Copy(&'a [u8]),
    /// A frame whose ownership passes to the socket.
    Frame(Frame),
    /// The same, in a message that the socket counts as unsent since an attempt to send it.
    Counted(Frame),
}

impl Part<'_> {
    /// The bytes of the part.
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Copy(bytes) => bytes,
            Self::Frame(frame) | Self::Counted(frame) => frame.as_slice(),
        }
    }

    /// The number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }
}

/// What became of a message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Sent {
    /// Queued for every subscriber.
    Delivered,
    /// Lost for at least one subscriber whose queue is full; queued for the others.
    ///
    /// libzmq skips a congested subscriber until half of its queue is read, and does not say so. With one
    /// subscriber its losses are counted exactly. With several, every message counts until less than half of
    /// a queue is unsent, so a message that all of them got may count as well.
    Congested,
}

/// What became of a message that must not be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum TrySent {
    /// Queued for every subscriber.
    Delivered,
    /// Queued for every subscriber but one that was congested before this message and is still skipped, as
    /// [`Sent::Congested`] says.
    Skipped,
    /// A subscriber's queue is full: the message is queued for no subscriber, and the parts are kept.
    WouldBlock,
}

/// A change of the subscriptions of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) struct SubscriptionEvent {
    /// True for a subscription, false for its end: unsubscribed or disconnected.
    pub(crate) subscribe: bool,
    /// The prefix as the peer sent it; any bytes.
    pub(crate) topic: Vec<u8>,
    /// The peer, where the transport can send to it alone: [`PublisherSocket::send_to`].
    pub(crate) peer: Option<u64>,
}

/// The subscribers of a publisher, for other threads than the one that uses its socket.
pub(crate) trait PeerList: Send + Sync {
    /// The counters of each subscriber, in the order in which they connected.
    fn peers(&self) -> Vec<PeerStats>;

    /// How arrays went to those that map shared memory.
    fn shared(&self) -> SharedStats;

    /// Takes back shared memory that they have returned.
    fn collect_returns(&self);
}

/// A socket that sends each message to every peer that subscribed to a prefix of its first part.
///
/// The [module](super) states the whole contract.
pub(crate) trait PublisherSocket: fmt::Debug + Send + Sync {
    /// What carries the messages.
    fn transport(&self) -> Transport;

    /// The address of the bind, with the port that the system chose for `tcp://host:*`.
    ///
    /// # Errors
    /// When the transport refuses.
    fn address(&mut self) -> Result<String, SocketError>;

    /// Sends one message without blocking; a subscriber whose queue is full loses it.
    ///
    /// The parts are consumed: each is an empty frame afterwards. Without parts nothing happens.
    ///
    /// # Errors
    /// When memory is exhausted, before any part is sent; when the transport refuses.
    fn send(&mut self, parts: &mut [Part<'_>]) -> Result<Sent, SocketError>;

    /// Sends one message to the peer of a [`SubscriptionEvent`] alone, if its subscriptions match; as
    /// [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    fn send_to(&mut self, peer: u64, parts: &mut [Part<'_>]) -> Result<Sent, SocketError>;

    /// The subscribers; `None` where the transport does not know them.
    fn peers(&self) -> Option<Weak<dyn PeerList>>;

    /// Sends one message to all subscribers or, where a queue is full, to none.
    ///
    /// After `WouldBlock` the parts hold what they held, as frames: the next attempt copies nothing.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    fn try_send(&mut self, parts: &mut [Part<'_>]) -> Result<TrySent, SocketError>;

    /// Blocks until a queue may have room, a subscriber came or one left; then
    /// [`try_send`](Self::try_send) may succeed.
    ///
    /// # Errors
    /// When the transport refuses.
    fn wait_for_room(
        &mut self,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError>;

    /// The next subscription or unsubscription, without blocking.
    ///
    /// A peer that subscribes twice to one prefix is reported twice and leaves once, so a count is exact
    /// for peers that subscribe once, as Cortex peers do, and must saturate at zero.
    ///
    /// Call it now and then: the transport keeps unread changes in memory, and may release the frames of
    /// a subscriber that disappeared only within a call to this socket.
    ///
    /// # Errors
    /// When the transport refuses.
    fn next_subscription(&mut self) -> Result<Option<SubscriptionEvent>, SocketError>;

    /// The number of messages that a subscriber's connection has not taken yet; a message counts once,
    /// however many subscribers it waits for. What a connection took, the kernel sends, also after the
    /// process has ended.
    ///
    /// Messages for a subscriber that disappeared count until the next call to [`release`](Self::release)
    /// or any other method with `&mut self`.
    fn unsent(&self) -> usize;

    /// Releases the frames of subscribers that disappeared.
    ///
    /// # Errors
    /// When the transport refuses.
    fn release(&mut self) -> Result<(), SocketError>;

    /// Messages that may wait for one subscriber: the high-water mark, or fewer where the longest message
    /// so far fills the bytes of a queue sooner; 0 is no limit.
    fn queue_limit(&self) -> usize;

    /// Makes dropping the socket discard what is not sent yet.
    ///
    /// # Errors
    /// When the transport refuses.
    fn discard_unsent(&mut self) -> Result<(), SocketError>;

    /// Binds the address of the socket once more, after its file was deleted. Connected subscribers stay
    /// connected.
    ///
    /// # Errors
    /// When the transport refuses.
    fn bind_again(&mut self) -> Result<(), SocketError>;

    /// Becomes readable when [`next_subscription`](Self::next_subscription) may have something.
    ///
    /// Another call to the socket may consume the event, so wait with a deadline.
    fn events(&self) -> EventSource;
}

/// A socket that receives the messages that match its prefixes and reconnects on its own.
///
/// The [module](super) states the whole contract.
pub(crate) trait SubscriberSocket: fmt::Debug + Send + Sync {
    /// Connects to one more publisher, now or as soon as it listens.
    ///
    /// # Errors
    /// When the address is invalid. An absent publisher is no error.
    fn connect(&mut self, address: &str) -> Result<(), SocketError>;

    /// Disconnects from a publisher; its messages that wait here are lost.
    ///
    /// # Errors
    /// `NotFound` without a connection to that address.
    fn disconnect(&mut self, address: &str) -> Result<(), SocketError>;

    /// Subscribes to messages whose first part begins with `prefix`, at every publisher.
    ///
    /// # Errors
    /// When the transport refuses.
    fn subscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError>;

    /// Reverts one [`subscribe`](Self::subscribe).
    ///
    /// # Errors
    /// When the transport refuses.
    fn unsubscribe(&mut self, prefix: &[u8]) -> Result<(), SocketError>;

    /// Receives a message without blocking. False: there is none, and `message` is empty.
    ///
    /// # Errors
    /// When the transport refuses.
    fn try_recv(&mut self, message: &mut Multipart) -> Result<bool, SocketError>;

    /// Receives a message, blocking until `deadline`, or without limit for `None`. `message` is empty
    /// unless the result is `Ready`.
    ///
    /// # Errors
    /// When the transport refuses.
    fn recv_until(
        &mut self,
        message: &mut Multipart,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<WaitResult, SocketError>;

    /// Becomes readable when [`try_recv`](Self::try_recv) may have something.
    fn events(&self) -> EventSource;
}

/// Turns the parts into frames and returns frames that share their bytes, to send the message again.
///
/// # Errors
/// When memory is exhausted.
pub(crate) fn share_parts(parts: &mut [Part<'_>]) -> Result<Vec<Frame>, SocketError> {
    make_frames(parts)?;
    parts
        .iter_mut()
        .map(|part| match part {
            Part::Frame(frame) | Part::Counted(frame) => frame.share(),
            Part::Copy(bytes) => Frame::from_copy(bytes),
        })
        .collect()
}

/// Copies every `Copy` part into a frame before any part is sent: half a message cannot be taken back.
///
/// # Errors
/// When memory is exhausted.
pub(super) fn make_frames(parts: &mut [Part<'_>]) -> Result<(), SocketError> {
    for part in parts {
        if let Part::Copy(bytes) = part {
            *part = Part::Frame(Frame::from_copy(bytes)?);
        }
    }
    Ok(())
}

/// The high-water mark for messages of `len` bytes: at most `messages`, where 0 is no limit, and not more
/// than fit into `bytes`, where 0 is no limit, but two.
pub(super) fn limit_of_len(messages: i32, bytes: usize, len: usize) -> i32 {
    match bytes.checked_div(len) {
        None | Some(0) if bytes == 0 || len == 0 => messages,
        fitting => {
            let fitting = i32::try_from(fitting.unwrap_or(0).max(2)).unwrap_or(i32::MAX);
            if messages == 0 { fitting } else { messages.min(fitting) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_limited_in_messages_and_in_bytes_but_takes_two() {
        for (messages, bytes, len, limit) in [
            (10, 1000, 1, 10),
            (10, 1000, 100, 10),
            (10, 1000, 101, 9),
            (10, 1000, 400, 2),
            (10, 1000, 4000, 2),
            (1, 1000, 4000, 1),
            (0, 1000, 100, 10),
            (0, 0, 100, 0),
            (10, 0, 4000, 10),
            (10, 1000, 0, 10),
        ] {
            assert_eq!(limit_of_len(messages, bytes, len), limit, "{messages} {bytes} {len}");
        }
    }
}
