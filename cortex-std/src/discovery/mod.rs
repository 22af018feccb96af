//! Who publishes what, and where: the daemon, and the client of it.
//!
//! ```text
//! publisher  --REGISTER-->  daemon  <--LOOKUP--  subscriber
//!     ^                                              |
//!     +------------------ connects ------------------+
//! ```
//!
//! The data path never goes through the daemon.
//!
//! One setting, [`ADDRESS_VARIABLE`] or [`NodeBuilder::discovery`](crate::NodeBuilder::discovery),
//! says where the daemon is, and with that how publishers are reached:
//!
//! | address | daemon | publishers |
//! |---|---|---|
//! | `ipc://PATH` | on this machine; nodes host it | unix sockets |
//! | `tcp://HOST:PORT` | `cortex-discovery` on any machine | tcp |
//! | `inproc://NAME` | none: a registry of this process | memory |
//!
//! Nodes of one process that name the same inproc address see each other and nobody else, and nobody
//! outside sees them.
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

#[cfg(feature = "tokio")]
mod async_client;
mod client;
mod daemon;
mod host;
mod keeper;
mod line;
mod listener;
mod question;
mod registry;
mod state;
mod table;
mod topic;

#[cfg(feature = "tokio")]
pub use async_client::AsyncClient;
pub use client::Client;
pub use daemon::{Daemon, DaemonHandle};
pub(crate) use host::Host;
pub use question::DiscoveryError;
pub use registry::{Origin, Registry, Verdict};
pub use topic::{Found, Topic};

pub use crate::wire::discovery::DEFAULT_ADDRESS;

/// The environment variable that names the daemon.
pub const ADDRESS_VARIABLE: &str = "CORTEX_DISCOVERY";

/// Where the daemon is: `CORTEX_DISCOVERY`, or the default address.
#[must_use]
pub fn default_address() -> String {
    match std::env::var(ADDRESS_VARIABLE) {
        Ok(address) if !address.is_empty() => address,
        _ => DEFAULT_ADDRESS.to_owned(),
    }
}
