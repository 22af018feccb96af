//! Discovery: which node publishes a topic and where. The daemon, its clients, and a node's agent.
//!
//! ```text
//! publisher  --REGISTER-->  daemon  <--LOOKUP--  subscriber
//!     ^                                              |
//!     +------------------ connects ------------------+
//! ```
//!
//! The data path never goes through the daemon.
//!
//! One setting, [`ADDRESS_VARIABLE`] or [`NodeBuilder::discovery`](crate::NodeBuilder::discovery), is the
//! address of the daemon and decides how publishers are reached:
//!
//! | address | daemon | publishers |
//! |---|---|---|
//! | `ipc://PATH` | on this machine; nodes host it | unix sockets |
//! | `tcp://HOST:PORT` | `cortex-discovery` on any machine | tcp |
//! | `inproc://NAME` | none: a registry of this process | memory |
//!
//! Nodes of one process with the same inproc address see each other and no other node; no other process
//! sees them.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use cortex_std::discovery::{Client, Daemon};
//!
//! let folder = tempfile::tempdir()?;
//! let address = format!("ipc://{}/discovery.sock", folder.path().display());
//! let daemon = Daemon::bind(&address)?.spawn()?;
//!
//! let mut client = Client::connect(&address, Duration::from_secs(1))?;
//! client.ping()?;
//! assert!(client.list()?.is_empty());
//! # daemon.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: wire reference, "Discovery".

pub(crate) mod agent;
mod body;
mod client;
mod daemon;
pub(crate) mod diagnosis;
mod error;
mod registry;
mod topic;

#[cfg(feature = "tokio")]
pub use client::AsyncClient;
pub use client::Client;
pub(crate) use daemon::host::Host;
pub use daemon::{Daemon, DaemonHandle};
pub use diagnosis::{Diagnosis, Fault, unreachable_publisher};
pub use error::DiscoveryError;
pub use registry::{Origin, Registry, Verdict};
pub use topic::{Found, Topic};

pub use crate::wire::discovery::DEFAULT_ADDRESS;

/// The environment variable with the address of the daemon.
pub const ADDRESS_VARIABLE: &str = "CORTEX_DISCOVERY";

/// The address of the daemon: `CORTEX_DISCOVERY`, or the default address.
#[must_use]
pub fn default_address() -> String {
    match std::env::var(ADDRESS_VARIABLE) {
        Ok(address) if !address.is_empty() => address,
        _ => DEFAULT_ADDRESS.to_owned(),
    }
}
