//! Errors of requests to the daemon.

use super::diagnosis::Diagnosis;
use crate::endpoint::EndpointError;
use crate::transport::SocketError;
use crate::wire::{DecodeError, EncodeError};

/// Why a request to the daemon failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// No daemon answered in time.
    #[error("{diagnosis}")]
    Unreachable {
        /// The daemon's address.
        address: String,
        /// Why, and what to do.
        diagnosis: Box<Diagnosis>,
    },
    /// The request was given up because the caller was stopped.
    #[error("interrupted while waiting for the discovery daemon")]
    Interrupted,
    /// Another node has registered the topic.
    #[error("the topic is taken: {message} (several publishers of a topic need `.shared()` each)")]
    AlreadyExists {
        /// The daemon's message.
        message: String,
    },
    /// The daemon refused.
    #[error("the discovery daemon refused: {message}")]
    Refused {
        /// The daemon's message.
        message: String,
    },
    /// The answer is malformed.
    #[error("the discovery daemon's answer is malformed")]
    Response(#[from] DecodeError),
    /// The request cannot be encoded.
    #[error("cannot encode the request to the discovery daemon")]
    Request(#[from] EncodeError),
    /// No interface of this machine leads to the daemon's, or its name is unknown.
    #[error("no interface of this machine leads to the discovery daemon")]
    NoRoute(#[source] std::io::Error),
    /// The address is invalid.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The socket failed.
    #[error(transparent)]
    Socket(#[from] SocketError),
}
