//! Errors of nodes, publishers and subscribers.

use crate::endpoint::EndpointError;
use crate::transport::SocketError;
use crate::wire::{ArrayError, DecodeError, EncodeError};

/// A name that is empty, longer than 1024 bytes, or holds a control character.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} name {name:?}: 1 to 1024 bytes without control characters")]
#[non_exhaustive]
pub struct NameError {
    /// "node", "topic" or "thread".
    pub what: &'static str,
    /// The invalid name.
    pub name: String,
}

/// Why a thread cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThreadError {
    /// The thread's name is invalid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The system refuses another thread.
    #[error("cannot start a thread")]
    Start(#[source] std::io::Error),
    /// The thread may not run on these cores, or they do not exist.
    #[error("cannot run a thread on cores {cores:?}")]
    Affinity {
        /// The requested cores.
        cores: Vec<usize>,
        /// The system's error.
        source: std::io::Error,
    },
    /// The thread may not run under SCHED_FIFO.
    #[error("cannot run a thread under SCHED_FIFO with priority {priority}")]
    Scheduling {
        /// The requested priority.
        priority: u8,
        /// The system's error.
        source: std::io::Error,
    },
    /// The process has no file descriptor left for the thread's stop token.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The node was shut down.
    #[error("the node is shut down")]
    ShutDown,
}

/// Why a node, a publisher or a subscriber cannot be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// The name of the node or of the topic is invalid.
    #[error(transparent)]
    Name(#[from] NameError),
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
    /// A thread of the node, the publisher or the subscriber cannot be started.
    #[error(transparent)]
    Thread(ThreadError),
    /// The node was shut down.
    #[error("the node is shut down")]
    ShutDown,
}

impl CreateError {
    /// The system refuses a thread.
    pub(crate) fn thread(source: std::io::Error) -> Self {
        Self::Thread(ThreadError::Start(source))
    }
}

impl From<ThreadError> for CreateError {
    /// Causes that both types list keep their variant.
    fn from(error: ThreadError) -> Self {
        match error {
            ThreadError::Name(error) => Self::Name(error),
            ThreadError::Socket(error) => Self::Socket(error),
            ThreadError::ShutDown => Self::ShutDown,
            error => Self::Thread(error),
        }
    }
}

/// Why a message was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The message cannot be encoded.
    #[error("cannot encode the message")]
    Encode(#[from] EncodeError),
    /// The array of a loan, or of a closure that makes the message, cannot be created.
    #[error("cannot create the array")]
    Array(#[from] ArrayError),
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Another error of the closure that makes the message.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
    /// The node was shut down.
    #[error("the publisher is closed")]
    Closed,
}

impl PublishError {
    /// An error of a closure that makes a message: any error type, or a text.
    #[must_use]
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

/// Why a publisher is not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// The daemon refused, such as for another node's publisher of the topic. The node asks again.
    #[error("the publisher is not registered: {reason}")]
    Refused {
        /// The daemon's reason.
        reason: String,
    },
    /// No daemon answered in time. The node asks again.
    #[error("no discovery daemon registered the publisher in time")]
    TimedOut,
    /// The node was shut down.
    #[error("the publisher is closed")]
    Closed,
}

/// Why a wait ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The time is up.
    #[error("the wait timed out")]
    TimedOut,
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
