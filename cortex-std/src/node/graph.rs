//! A node's queries about its graph.

use std::time::{Duration, Instant};

use super::Node;
#[cfg(feature = "tokio")]
use crate::discovery::AsyncClient;
use crate::discovery::{Client, DiscoveryError, Found};
use crate::error::CreateError;
use crate::stop::StopToken;

/// Timeout of one request of [`Node::require_discovery`].
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

impl Node {
    /// Waits until `topic` has a publisher; `None` after `timeout`, or once the node was shut down.
    ///
    /// A subscriber does not need this: it waits for its topic on its own.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left.
    ///
    /// # Cancel safety
    ///
    /// It has no effect but the wait.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time enabled.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # async fn example(node: &cortex_std::Node) -> Result<(), Box<dyn std::error::Error>> {
    /// match node.wait_for_topic("/cam/frame", Duration::from_secs(5)).await? {
    ///     Some(found) => println!("{} publishes it", found.topic.publisher_node),
    ///     None => println!("no camera"),
    /// }
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn wait_for_topic(
        &self,
        topic: &str,
        timeout: Duration,
    ) -> Result<Option<Found>, CreateError> {
        let watch = self.runtime.agent.watch(topic)?;
        let found = async {
            loop {
                let found = watch.cell.found();
                if found.is_some() || watch.cell.is_closed() {
                    return found;
                }
                watch.cell.changed().await;
            }
        };
        Ok(tokio::time::timeout(timeout, found).await.unwrap_or(None))
    }

    /// As [`wait_for_topic`](Self::wait_for_topic), blocking the thread.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left.
    pub fn blocking_wait_for_topic(
        &self,
        topic: &str,
        timeout: Duration,
    ) -> Result<Option<Found>, CreateError> {
        let watch = self.runtime.agent.watch(topic)?;
        let deadline = Instant::now().checked_add(timeout);
        let change = StopToken { interrupt: watch.cell.interrupt().clone() };
        loop {
            // Cleared first: a change after that sets it again.
            change.interrupt.clear();
            let found = watch.cell.found();
            if found.is_some() || watch.cell.is_closed() {
                return Ok(found);
            }
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if !change.wait_timeout(left) {
                return Ok(None);
            }
        }
    }

    /// Waits until a discovery daemon answers, for a program that prefers to fail early.
    ///
    /// Nodes, publishers and subscribers do not need this: they are created without a daemon, and
    /// [`Publisher::registration`](crate::Publisher::registration) returns their state.
    ///
    /// # Errors
    ///
    /// `Unreachable` when no daemon answers in time.
    ///
    /// # Cancel safety
    ///
    /// It has no effect but the wait.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O and time enabled.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// use cortex_std::Node;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let address = format!("ipc://{}/discovery.sock", folder.path().display());
    /// # let _daemon = cortex_std::discovery::Daemon::bind(&address)?.spawn()?;
    /// let node = Node::builder("arm").discovery(&address).create()?;
    /// node.require_discovery(Duration::from_secs(2)).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn require_discovery(&self, timeout: Duration) -> Result<(), DiscoveryError> {
        let mut client = AsyncClient::connect(&self.runtime.endpoint.to_string(), REQUEST_TIMEOUT)?;
        client.wait_for_daemon(timeout).await
    }

    /// As [`require_discovery`](Self::require_discovery), blocking the thread.
    ///
    /// # Errors
    ///
    /// `Unreachable` when no daemon answers in time.
    pub fn blocking_require_discovery(&self, timeout: Duration) -> Result<(), DiscoveryError> {
        let mut client = Client::connect(&self.runtime.endpoint.to_string(), REQUEST_TIMEOUT)?;
        client.wait_for_daemon(timeout)
    }
}
