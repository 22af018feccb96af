//! Carrying messages between processes: the seam below which transports differ.
//!
//! Above this module no code knows which transport carries a message. [`Context::transport`] chooses
//! one, and the traits [`PublisherSocket`] and [`SubscriberSocket`] are all that the rest of the crate
//! uses of it. `contract.rs` tests what follows over every transport of [`Transport::ALL`].
//!
//! # Contract
//!
//! **Threads.** A socket is used through `&mut self` by one thread at a time and may move to another. Its
//! [`EventSource`] and an [`Interrupt`] may be used by other threads meanwhile.
//!
//! **Order.** Messages of one publisher arrive at each subscriber in the order of the calls that sent
//! them. A message arrives whole or not at all. There is no order between publishers.
//!
//! **Subscriptions.** A subscriber receives the messages whose first part begins with one of its
//! prefixes. The publisher sees each subscription and each unsubscription once per peer
//! ([`PublisherSocket::next_subscription`]); a peer that disconnects unsubscribes. A message that is sent
//! before the publisher has seen a subscription may be missing there.
//!
//! **Congestion.** Each subscriber has a queue that is bounded in messages and in bytes
//! ([`PublisherSocket::queue_limit`]). A full queue costs its own
//! subscriber messages and no other: [`PublisherSocket::send`] sends to the rest and reports
//! [`Sent::Congested`]; [`PublisherSocket::try_send`] sends to all subscribers or to none.
//!
//! **Blocking.** `next_subscription` and `try_recv` never block. `send` and `try_send` never wait for a
//! subscriber that does not read; the local transport writes a long message while its subscribers read it.
//! `wait_for_room` and `recv_until` block until something happens, until the deadline, or until the
//! [`Interrupt`] is set, whichever is first; an interrupt that is set wins over a message. `bind` and
//! `connect` do not wait for a peer. Dropping a publisher's socket does not wait: the transport goes on
//! sending for at most the linger time. Dropping a subscriber's socket discards what it has not returned.
//!
//! **Waiting.** An [`EventSource`] reports changes. Wait at it only after the non-blocking call found
//! nothing to do; after it was readable, make that call until it finds nothing again.
//!
//! **Ownership.** A [`Part::Copy`] is copied during the call. A [`Part::Frame`] keeps its owner alive until
//! the transport has sent it to every subscriber, on any thread of the process, and until the next call to
//! the socket where a subscriber disappeared. A received [`Multipart`] owns its frames and outlives its
//! socket.
//!
//! **Peers.** A connection that breaks is made again with growing pauses. A peer that sends what the
//! protocol does not allow, or more than a limit, loses its connection and nothing else happens.
#![allow(
    unsafe_code,
    reason = "libzmq is a C library; this folder is where it is made safe, block by block"
)]

mod choice;
#[cfg(test)]
mod congestion;
mod context;
#[cfg(test)]
mod contract;
pub(crate) mod descriptors;
mod error;
mod event;
mod interrupt;
mod loan;
mod local;
mod multipart;
mod peer;
#[cfg(feature = "tokio")]
mod readiness;
mod reply;
pub(crate) mod shared;
mod socket;
mod zmq;

pub(crate) use context::Context;
pub(crate) use event::{EventSource, wait_any};
pub(crate) use interrupt::{Interrupt, WaitResult};
pub(crate) use loan::{Loan, LoanPool};
pub(crate) use local::inquiry;
#[cfg(fuzzing)]
pub(crate) use local::session;
pub(crate) use multipart::Multipart;
pub(crate) use peer::{peer_process, process_name};
#[cfg(feature = "tokio")]
pub(crate) use readiness::{Readiness, poll_any_changed};
pub(crate) use reply::RepSocket;
#[cfg(test)]
pub(crate) use socket::SubscriptionEvent;
pub(crate) use socket::{
    DEFAULT_QUEUE, DEFAULT_QUEUE_BYTES, Part, PeerList, PublisherOptions, PublisherSocket, Sent,
    SubscriberOptions, SubscriberSocket, TrySent, share_parts,
};
pub(crate) use zmq::frame::Frame;
pub(crate) use zmq::library;
pub(crate) use zmq::malloc::ArenaMark;
pub(crate) use zmq::owner::{OwnedView, ViewFamily};
pub(crate) use zmq::reqrep::{ReqSocket, RequestError};

pub use choice::Transport;
pub use error::{SocketError, SocketErrorKind};

use local::publisher::LocalPublisher;
use local::subscriber::LocalSubscriber;
use zmq::sub::ZmqSubscriber;
use zmq::xpub::ZmqPublisher;

impl Transport {
    /// A publisher's socket that is bound to `address`.
    ///
    /// An ipc address replaces the file that is there, and the file stays when the socket is closed:
    /// [`crate::endpoint::claim()`] protects the one and removes the other.
    ///
    /// # Errors
    /// When the address is in use or invalid, or no socket or file descriptor is left.
    pub(crate) fn bind(
        self,
        context: &Context,
        address: &str,
        options: &PublisherOptions,
    ) -> Result<Box<dyn PublisherSocket>, SocketError> {
        match self {
            Self::Zmq => Ok(Box::new(ZmqPublisher::bind(context.zmq(), address, options)?)),
            Self::Local => Ok(Box::new(LocalPublisher::bind(context, address, options)?)),
        }
    }

    /// A subscriber's socket without a connection and without a subscription.
    ///
    /// # Errors
    /// When no socket or file descriptor is left.
    pub(crate) fn subscriber(
        self,
        context: &Context,
        options: &SubscriberOptions,
    ) -> Result<Box<dyn SubscriberSocket>, SocketError> {
        match self {
            Self::Zmq => Ok(Box::new(ZmqSubscriber::new(context.zmq(), options)?)),
            Self::Local => Ok(Box::new(LocalSubscriber::new(context, options)?)),
        }
    }
}
