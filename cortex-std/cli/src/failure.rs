//! Results of commands, and their exit codes.

use std::error::Error;
use std::fmt::Display;
use std::io;

use cortex_std::discovery::DiscoveryError;
use cortex_std::{CreateError, EndpointError, ErrorChain};

/// The result of a command that ran to its end: exit code 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything requested was found or done: exit code 0.
    Found,
    /// Something was not found, or messages were lost: exit code 1.
    Missed,
}

impl Outcome {
    pub(crate) fn found_if(is_found: bool) -> Self {
        if is_found { Self::Found } else { Self::Missed }
    }
}

/// The reason why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Invalid arguments: exit code 2.
    Usage(String),
    /// An error: exit code 1.
    Failed(String),
    /// The reader of stdout closed the pipe, as `head` does: exit code 0.
    ClosedPipe,
}

pub(crate) type Result<T = Outcome, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// The failure of an error and its sources: wrong usage if an address or a name is invalid.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let text = ErrorChain(error).to_string();
        let mut source = Some(error);
        while let Some(error) = source {
            if is_usage(error) {
                return Self::Usage(text);
            }
            source = error.source();
        }
        Self::Failed(text)
    }

    /// The same, with the file or the operation that failed in front.
    pub(crate) fn with_context(context: impl Display, error: &dyn Error) -> Self {
        Self::Failed(format!("{context}: {}", ErrorChain(error)))
    }
}

/// Whether an error says that an argument is invalid.
fn is_usage(error: &(dyn Error + 'static)) -> bool {
    // A transparent error has the sources of the error inside, and not that error as its source.
    let endpoint = match (error.downcast_ref(), error.downcast_ref(), error.downcast_ref()) {
        (Some(CreateError::Name { .. }), ..) => return true,
        (Some(CreateError::Endpoint(endpoint)), ..) => Some(endpoint),
        (_, Some(DiscoveryError::Endpoint(endpoint)), _) => Some(endpoint),
        (.., endpoint) => endpoint,
    };
    matches!(endpoint, Some(EndpointError::Invalid { .. } | EndpointError::PathTooLong { .. }))
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::of(&error),
        }
    }
}

macro_rules! failed {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(&error)
            }
        }
    )*};
}

failed!(
    cortex_bag::WriteError,
    cortex_std::discovery::DiscoveryError,
    cortex_std::CreateError,
    cortex_std::ThreadError,
    cortex_std::PublishError,
    cortex_std::ReceiveError,
    cortex_std::SocketError,
    cortex_std::wire::EncodeError
);
