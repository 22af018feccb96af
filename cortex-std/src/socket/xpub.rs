//! The publisher's socket.

use std::time::{Duration, Instant};

use super::accepted::Accepted;
use super::context::Context;
use super::error::SocketError;
use super::frame::Frame;
use super::interrupt::{Interrupt, Wait};
use super::raw::{RawSocket, SNDMORE, SocketFd};

/// Settings of an [`XpubSocket`].
#[derive(Debug, Clone)]
pub(crate) struct XpubOptions {
    /// Messages that may wait for one subscriber; 0 is no limit.
    pub(crate) high_water_mark: i32,
    /// How long the context waits at its end for what is not sent yet.
    pub(crate) linger: Duration,
    /// Bytes of the longest subscription a peer may send; a longer one costs it the connection.
    pub(crate) max_subscription_len: i64,
    /// How often a tcp subscriber is asked whether it is there, which it must answer (libzmq does,
    /// since 4.2) within three times as long; zero: never.
    pub(crate) heartbeat: Duration,
}

impl Default for XpubOptions {
    fn default() -> Self {
        Self {
            high_water_mark: 1000,
            linger: Duration::ZERO,
            max_subscription_len: 64 * 1024,
            heartbeat: Duration::from_secs(5),
        }
    }
}

/// Bytes of a part for which the kernel's default buffer is too small to be fast.
const LARGE: usize = 64 * 1024;

/// One part to send.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// Bytes that are copied.
    Copy(&'a [u8]),
    /// A frame that is handed over.
    Frame(Frame),
}

impl Part<'_> {
    /// Bytes of the part.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Copy(bytes) => bytes.len(),
            Self::Frame(frame) => frame.as_slice().len(),
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum Sent {
    /// Everybody who subscribed has it in its queue.
    Delivered,
    /// Somebody's queue was full and that one lost it; everybody else has it.
    ///
    /// libzmq then sets the one aside until its queue has drained by half, so the messages in between
    /// are `Delivered`: this is the start of each congestion, not a count.
    Congested,
}

/// What became of a message that must not be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum TrySent {
    /// Everybody who subscribed has it in its queue.
    Delivered,
    /// Somebody's queue is full; nobody got anything and the parts are still there.
    WouldBlock,
}

/// Somebody subscribed or left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub(crate) struct Subscription {
    /// False: unsubscribed, or disconnected.
    pub(crate) subscribe: bool,
    /// The prefix, as the peer sent it; any bytes.
    pub(crate) topic: Vec<u8>,
}

/// A socket that sends each message to everybody who subscribed to a prefix of its first part, never
/// waits, and tells who subscribes.
#[derive(Debug)]
pub(crate) struct XpubSocket {
    raw: RawSocket,
    accepted: Option<Accepted>,
}

impl XpubSocket {
    /// A socket that is bound to `address`.
    ///
    /// An ipc address replaces whatever file is there, and the file stays behind when the socket is
    /// closed: [`crate::endpoint::claim()`] guards the one and removes the other.
    ///
    /// # Errors
    /// When the address is in use or invalid, or no socket or file descriptor is left.
    pub(crate) fn bind(
        context: &Context,
        address: &str,
        options: &XpubOptions,
    ) -> Result<Self, SocketError> {
        let mut raw = RawSocket::open(context, zmq_sys::ZMQ_XPUB)?;
        raw.set_int(zmq_sys::ZMQ_SNDHWM, options.high_water_mark)?;
        raw.set_millis(zmq_sys::ZMQ_LINGER, options.linger)?;
        raw.set_i64(zmq_sys::ZMQ_MAXMSGSIZE, options.max_subscription_len)?;
        raw.set_int(zmq_sys::ZMQ_XPUB_VERBOSER, 1)?;
        raw.set_int(zmq_sys::ZMQ_XPUB_NODROP, 1)?;
        raw.set_heartbeat(address, options.heartbeat)?;
        raw.bind(address)?;
        Ok(Self { raw, accepted: Accepted::at(address) })
    }

    /// The address of the bind, with the port that the system chose for `tcp://host:*`.
    ///
    /// # Errors
    /// When libzmq refuses.
    pub(crate) fn last_endpoint(&mut self) -> Result<String, SocketError> {
        self.raw.last_endpoint()
    }

    /// Somebody to wait for subscriptions while others use this socket, which stays open as long.
    pub(crate) fn watch(&self) -> SubscriptionWatch {
        SubscriptionWatch(self.raw.fd())
    }

    /// Sends one message without waiting; a subscriber whose queue is full loses it.
    ///
    /// The parts are consumed: each is an empty frame afterwards. No parts: nothing happens.
    ///
    /// # Errors
    /// When memory is exhausted, or libzmq refuses; the former before anything is sent.
    pub(crate) fn send(&mut self, parts: &mut [Part<'_>]) -> Result<Sent, SocketError> {
        make_frames(parts)?;
        if self.offer(parts)? == TrySent::Delivered {
            return Ok(Sent::Delivered);
        }
        // Nothing is sent yet. Without NODROP libzmq sends to those who have room.
        self.raw.set_int(zmq_sys::ZMQ_XPUB_NODROP, 0)?;
        let sent = self.transmit(parts);
        // Fails only when the context ends, and then the option does not matter.
        let restored = self.raw.set_int(zmq_sys::ZMQ_XPUB_NODROP, 1);
        let _ = sent?;
        restored?;
        Ok(Sent::Congested)
    }

    /// Sends one message to everybody or, if somebody's queue is full, to nobody.
    ///
    /// After `WouldBlock` the parts hold what they held, as frames: trying again copies nothing.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) fn try_send(&mut self, parts: &mut [Part<'_>]) -> Result<TrySent, SocketError> {
        make_frames(parts)?;
        self.offer(parts)
    }

    /// Waits until a subscriber took something, came or left: then [`try_send`](Self::try_send) may
    /// do better. (An XPUB always claims to be writable, so polling for that says nothing.)
    ///
    /// # Errors
    /// When libzmq refuses.
    pub(crate) fn wait_for_room(
        &mut self,
        deadline: Option<Instant>,
        interrupt: Option<&Interrupt>,
    ) -> Result<Wait, SocketError> {
        let wait = self.raw.wait(deadline, interrupt)?;
        self.raw.progress()?;
        Ok(wait)
    }

    /// The next subscription or unsubscription, without waiting.
    ///
    /// Each is told, once per peer. It is the peer who tells: one that subscribes twice to the same
    /// prefix is told twice and leaves once, so a count is exact for peers that subscribe once, as
    /// Cortex peers do, and must saturate at zero.
    ///
    /// Somebody must ask, or libzmq keeps them all in memory, and with them the frames that waited for
    /// a subscriber who vanished: those are released only inside a call to this socket.
    ///
    /// # Errors
    /// When libzmq refuses.
    pub(crate) fn next_subscription(&mut self) -> Result<Option<Subscription>, SocketError> {
        let mut frame = Frame::empty();
        while self.raw.recv(&mut frame)? {
            // Anything else is data that an XSUB peer sent up; nobody asked for it.
            if let [first @ (0 | 1), topic @ ..] = frame.as_slice() {
                if let Some(accepted) = &mut self.accepted {
                    accepted.note();
                }
                return Ok(Some(Subscription { subscribe: *first == 1, topic: topic.to_vec() }));
            }
        }
        Ok(None)
    }

    /// Sends to everybody or nobody, knowing what has been read until now.
    ///
    /// For about a millisecond libzmq's send does not look at what its subscribers took meanwhile, so a
    /// short queue that is drained in step seems full: look, and ask again.
    fn offer(&mut self, parts: &mut [Part<'_>]) -> Result<TrySent, SocketError> {
        if self.transmit(parts)? == TrySent::Delivered {
            return Ok(TrySent::Delivered);
        }
        self.raw.progress()?;
        self.transmit(parts)
    }

    /// Sends frames; `WouldBlock` can only come before the first.
    fn transmit(&mut self, parts: &mut [Part<'_>]) -> Result<TrySent, SocketError> {
        if let Some(accepted) = &mut self.accepted
            && accepted.is_new()
            && parts.iter().any(|part| part.len() >= LARGE)
        {
            accepted.widen();
        }
        let mut left = parts.len();
        let mut begun = false;
        for part in parts {
            left = left.saturating_sub(1);
            let Part::Frame(frame) = part else { continue };
            let flags = if left > 0 { SNDMORE } else { 0 };
            if !self.raw.send(frame, flags)? {
                if !begun {
                    return Ok(TrySent::WouldBlock);
                }
                // A queue is counted in messages, so the first part decides and this cannot be.
                return Err(SocketError::from_errno(libc::EAGAIN, "send", None));
            }
            begun = true;
        }
        Ok(TrySent::Delivered)
    }
}

/// Waits at a publisher's socket that others use.
#[derive(Debug)]
pub(crate) struct SubscriptionWatch(SocketFd);

impl SubscriptionWatch {
    /// Waits until something happened: then
    /// [`next_subscription`](XpubSocket::next_subscription) may have something. Whoever used the
    /// socket in between may have used up the signal, so a deadline is advisable.
    ///
    /// # Errors
    /// When the system refuses to wait.
    pub(crate) fn wait(
        &self,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<Wait, SocketError> {
        self.0.wait(Some(deadline), Some(interrupt))
    }
}

/// Makes frames of the parts and shares them: the same message, to be sent once more later.
///
/// # Errors
/// When memory is exhausted.
pub(crate) fn share_parts(parts: &mut [Part<'_>]) -> Result<Vec<Frame>, SocketError> {
    make_frames(parts)?;
    parts
        .iter_mut()
        .map(|part| match part {
            Part::Frame(frame) => frame.share(),
            Part::Copy(bytes) => Frame::from_copy(bytes),
        })
        .collect()
}

/// Makes every copy before anything is sent: half a message could not be taken back.
fn make_frames(parts: &mut [Part<'_>]) -> Result<(), SocketError> {
    for part in parts {
        if let Part::Copy(bytes) = part {
            *part = Part::Frame(Frame::from_copy(bytes)?);
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
