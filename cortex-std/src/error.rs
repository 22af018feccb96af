//! Errors of nodes, publishers and subscribers.

use crate::endpoint::EndpointError;
use crate::transport::SocketError;
use crate::wire::{ArrayError, DecodeError, EncodeError};

/// Why a node, a publisher, a subscriber or a thread cannot be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// A name that is empty, longer than 1024 bytes, or holds a control character.
    #[error("invalid {what} name {name:?}: 1 to 1024 bytes without control characters")]
    Name {
        /// "node", "topic" or "thread".
        what: &'static str,
        /// The invalid name.
        name: String,
    },
    /// The address, or the file behind it.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A publisher that is bound to all interfaces, without a host for subscribers to connect to.
    #[error(
        "{address} is not an address to connect to: set the host of this machine with `advertise`"
    )]
    Advertise {
        /// The bound address.
        address: String,
    },
    /// The node has a publisher of this topic.
    #[error("the topic {topic:?} is in use: this node publishes it already")]
    AlreadyPublished {
        /// The topic.
        topic: String,
    },
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// A thread may not run on these cores, or they do not exist.
    #[error("cannot run a thread on cores {cores:?}")]
    Affinity {
        /// The requested cores.
        cores: Vec<usize>,
        /// The system's error.
        source: std::io::Error,
    },
    /// A thread may not run under SCHED_FIFO.
    #[error("cannot run a thread under SCHED_FIFO with priority {priority}")]
    Scheduling {
        /// The requested priority.
        priority: u8,
        /// The system's error.
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
    /// The message cannot be encoded.
    #[error("cannot encode the message")]
    Encode(#[from] EncodeError),
    /// The array of a loan cannot be created.
    #[error("cannot create the array")]
    Array(#[from] ArrayError),
    /// The socket failed.
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
    /// A received message is not one of the type.
    #[error("cannot decode the message")]
    Decode(#[from] DecodeError),
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The node was shut down.
    #[error("the subscriber is closed")]
    Closed,
}
