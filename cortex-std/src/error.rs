//! What can go wrong above the sockets.

use crate::endpoint::EndpointError;
use crate::socket::error::SocketError;
use crate::wire::{ArrayError, DecodeError, EncodeError};

/// Why a node, a publisher or a subscriber cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// A name that is empty, longer than 1024 bytes, or holds a control character.
    #[error("{name:?} is no name for a {what}: 1 to 1024 bytes without control characters")]
    Name {
        /// A node or a topic.
        what: &'static str,
        /// As it was given.
        name: String,
    },
    /// The address, or the file behind it.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A publisher that listens on all interfaces, without a host to tell others.
    #[error("{address} is no address to connect to: say by `advertise` which host others use")]
    Advertise {
        /// What was bound.
        address: String,
    },
    /// The node has a publisher of this topic.
    #[error("this node publishes {topic:?} already: the topic is in use")]
    AlreadyPublished {
        /// The topic.
        topic: String,
    },
    /// libzmq refused.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// A thread may not run on these cores, or there are none of that number.
    #[error("cannot run a thread on cores {cores:?}")]
    Affinity {
        /// As they were asked for.
        cores: Vec<usize>,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread may not run under SCHED_FIFO.
    #[error("cannot run a thread under SCHED_FIFO with priority {priority}")]
    Scheduling {
        /// As it was asked for.
        priority: u8,
        /// What the system said.
        source: std::io::Error,
    },
    /// The node was shut down.
    #[error("the node is shut down")]
    ShutDown,
}

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The message cannot be written.
    #[error("cannot encode the message")]
    Encode(#[from] EncodeError),
    /// An array of a loan cannot be made.
    #[error("cannot make the array")]
    Array(#[from] ArrayError),
    /// libzmq refused.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The node was shut down.
    #[error("the publisher is closed")]
    Closed,
}

/// Why nothing was received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// A message that came is not one of the type.
    #[error("cannot decode the message")]
    Decode(#[from] DecodeError),
    /// libzmq refused.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The node was shut down.
    #[error("the subscriber is closed")]
    Closed,
}
