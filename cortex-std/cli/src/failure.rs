//! Why a command ends without having done its work.

use std::error::Error;
use std::fmt::Display;
use std::io;

/// How a command ended: exit codes 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// What was asked for is there.
    Found,
    /// It is not, or something was lost.
    Missed,
}

impl Outcome {
    pub(crate) fn found_if(is_found: bool) -> Self {
        if is_found { Self::Found } else { Self::Missed }
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was called in a way that makes no sense: exit code 2.
    Usage(String),
    /// It did not work: exit code 1.
    Failed(String),
    /// Nobody reads what is written any more, which is no failure.
    Unread,
}

pub(crate) type Result<T = Outcome, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure whose reason is an error and what caused it.
    pub(crate) fn of(error: &dyn Error) -> Self {
        Self::Failed(with_sources(error))
    }

    /// The same with what was being done.
    pub(crate) fn doing(what: impl Display, error: &dyn Error) -> Self {
        Self::Failed(format!("{what}: {}", with_sources(error)))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Unread,
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
    cortex_std::discovery::DiscoveryError,
    cortex_std::CreateError,
    cortex_std::PublishError,
    cortex_std::ReceiveError,
    cortex_std::SocketError,
    cortex_std::wire::EncodeError
);

/// The error and what caused it, in one line.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
