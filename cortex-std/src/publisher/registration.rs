//! Waiting until the daemon knows a publisher.

use std::time::{Duration, Instant};

use super::Publisher;
use crate::discovery::agent::Registration;
use crate::error::RegistrationError;

/// Interval at which a waiting caller reads the state of the registration.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

impl<M> Publisher<M> {
    /// Whether the daemon knows this publisher.
    #[must_use]
    pub fn registration(&self) -> Registration {
        self.inner.outlet.registration().unwrap_or(Registration::Pending)
    }

    /// Blocks until the daemon has registered this publisher; subscribers find it from then on.
    ///
    /// Publishing does not need this: it is for programs that prefer to fail early. After a refusal or a
    /// timeout the node still tries to register it.
    ///
    /// # Errors
    ///
    /// `Refused` with the daemon's reason, such as another node's publisher of the topic; `TimedOut`;
    /// `Closed` once the node is shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use cortex_std::{Node, wire::StringMessage};
    /// # let folder = tempfile::tempdir()?;
    /// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
    /// let node = Node::builder("talker").discovery(&address).create()?;
    /// let notes = node.publisher::<StringMessage>("/notes").create()?;
    /// notes.blocking_wait_registered(Duration::from_secs(10))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn blocking_wait_registered(&self, timeout: Duration) -> Result<(), RegistrationError> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            if let Some(settled) = self.settled() {
                return settled;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(RegistrationError::TimedOut);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits until the daemon has registered this publisher, as
    /// [`blocking_wait_registered`](Self::blocking_wait_registered).
    ///
    /// # Errors
    ///
    /// As [`blocking_wait_registered`](Self::blocking_wait_registered).
    ///
    /// # Cancel safety
    ///
    /// It has no effect but the wait.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time enabled.
    #[cfg(feature = "tokio")]
    pub async fn wait_registered(&self, timeout: Duration) -> Result<(), RegistrationError> {
        let settled = async {
            loop {
                if let Some(settled) = self.settled() {
                    return settled;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        tokio::time::timeout(timeout, settled).await.unwrap_or(Err(RegistrationError::TimedOut))
    }

    /// The result of the registration, once there is one.
    fn settled(&self) -> Option<Result<(), RegistrationError>> {
        match self.inner.outlet.registration() {
            Some(Registration::Pending) => None,
            Some(Registration::Registered) => Some(Ok(())),
            Some(Registration::Refused(reason)) => Some(Err(RegistrationError::Refused { reason })),
            None => Some(Err(RegistrationError::Closed)),
        }
    }
}
