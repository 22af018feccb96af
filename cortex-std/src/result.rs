//! One error for all errors of this crate.

use std::fmt;

use crate::discovery::DiscoveryError;
use crate::endpoint::EndpointError;
use crate::error::{
    CreateError, PublishError, ReceiveError, RegistrationError, ThreadError, WaitError,
};
use crate::log::ErrorChain;
use crate::transport::SocketError;
use crate::wire::{ArrayError, DecodeError, EncodeError};

/// The result of a function that may fail with any error of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error of this crate: `?` makes it of each of them.
///
/// It adds no text and no cause to the error inside. Its `Debug` form is the sentence with all causes, since
/// that is how Rust prints an error that `main` returns.
///
/// # Examples
///
/// ```
/// use cortex_std::{Node, wire::StringMessage};
///
/// fn main() -> cortex_std::Result<()> {
///     # let folder = tempfile::tempdir()?;
///     # let address = format!("ipc://{}/discovery.sock", folder.path().display());
///     let node = Node::builder("talker").discovery(&address).create()?;
///     let notes = node.publisher::<StringMessage>("/notes").create()?;
///     notes.publish(&StringMessage { data: "hello" })?;
///     Ok(())
/// }
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A node, a publisher or a subscriber cannot be created.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// A thread cannot be started.
    #[error(transparent)]
    Thread(#[from] ThreadError),
    /// A message was not published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Nothing was received.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// A publisher is not registered.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// A wait ended early.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// A request to the daemon failed.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// An address, or its socket file, cannot be used.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A socket failed.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// An array does not have this shape or this type.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// Bytes cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A value cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The system refused, such as signals for [`Node::run`](crate::Node::run).
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Another error, made by [`other`](Self::other).
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// An error of the caller: any error type, or a text.
    ///
    /// # Examples
    ///
    /// ```
    /// use cortex_std::Error;
    ///
    /// fn gain(text: &str) -> cortex_std::Result<f64> {
    ///     text.parse().map_err(Error::other)
    /// }
    /// assert_eq!(gain("x").unwrap_err().to_string(), "invalid float literal");
    /// ```
    #[must_use]
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", ErrorChain(self))
    }
}

/// `Ok(())` with this crate's [`Error`]: the end of a callback that uses `?`, whose error type the compiler
/// cannot infer.
///
/// # Examples
///
/// ```
/// # use std::time::Duration;
/// # use cortex_std::{Node, wire::{ArrayMessage, ArrayView}};
/// # fn example(node: &Node) -> cortex_std::Result<()> {
/// let images = node.publisher::<ArrayMessage>("/cam/frame").create()?;
/// let pixels = vec![0_u8; 480 * 640];
/// # #[cfg(feature = "tokio")]
/// node.timer(Duration::from_millis(33), async move |_| {
///     let data = ArrayView::from_slice(&pixels, &[480, 640])?;
///     images.publish(&ArrayMessage { data, name: "grey", frame_id: "camera" })?;
///     cortex_std::ok()
/// });
/// # Ok(()) }
/// ```
#[expect(clippy::missing_errors_doc, reason = "it returns none")]
pub const fn ok() -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_main_shows_its_causes_once() {
        let cause = std::io::Error::other("no such core");
        let thread = ThreadError::Affinity { cores: vec![99], source: cause };
        let error = Error::from(CreateError::from(thread));
        assert_eq!(format!("{error:?}"), "cannot run a thread on cores [99]: no such core");
        assert_eq!(error.to_string(), "cannot run a thread on cores [99]");
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("no such core"));
    }

    #[test]
    fn a_callback_may_end_with_ok_after_errors_of_several_types() {
        let callback = |shape: &[usize], text: &str| {
            crate::wire::ArrayView::from_slice(&[0_u8; 4], shape)?;
            text.parse::<f64>().map_err(Error::other)?;
            ok()
        };
        assert!(callback(&[2, 2], "1").is_ok());
        assert!(matches!(callback(&[5], "1"), Err(Error::Array(_))));
        assert!(matches!(callback(&[4], "x"), Err(Error::Other(_))));
    }

    #[test]
    fn a_shut_down_node_has_one_variant_in_each_error() {
        assert!(matches!(CreateError::from(ThreadError::ShutDown), CreateError::ShutDown));
    }
}
