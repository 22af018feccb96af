//! Queries of diagnostic tools: the process that listens at an ipc address, the subscribers of a publisher,
//! and the libzmq in use.
//!
//! # Examples
//!
//! ```
//! use cortex_std::inspect::{Libzmq, Probe, probe};
//!
//! let folder = tempfile::tempdir()?;
//! assert_eq!(probe(&folder.path().join("absent.sock")), Probe::Absent);
//! assert!(Libzmq::used().version >= (4, 3, 0));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::path::Path;
use std::time::Duration;

pub use crate::endpoint::{MAX_PATH_LEN, Probe, probe};
use crate::endpoint::{connections, lock_path, process};
pub use crate::runtime::signal::ignores_signal;
use crate::stats::PeerStats;
use crate::transport::{Transport, inquiry, library, process_name, shared};

/// A version of libzmq.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Libzmq {
    /// Major, minor, patch.
    pub version: (u32, u32, u32),
    /// The capabilities it was built with, by libzmq's names, such as `ipc` and `curve`.
    pub capabilities: Vec<(&'static str, bool)>,
}

/// The capabilities that `zmq_has` knows.
const CAPABILITIES: [&str; 9] =
    ["ipc", "curve", "draft", "gssapi", "norm", "pgm", "tipc", "vmci", "WS"];

impl Libzmq {
    /// The libzmq that this program uses.
    #[must_use]
    pub fn used() -> Self {
        let capabilities = CAPABILITIES.map(|name| (name, library::has(name)));
        Self { version: library::version(), capabilities: capabilities.to_vec() }
    }
}

/// How long a publisher may take to answer [`publisher_at`].
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A publisher at an ipc address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublisherReport {
    /// What carries its messages.
    pub transport: Transport,
    /// Its subscribers. A Cortex publisher that does not use libzmq tells of each. Of any other one, such as a
    /// Python publisher, the kernel lists the connections: their counters and nodes are unknown, those of other
    /// users are missing, and so are all where the kernel lists none.
    pub subscribers: Vec<PeerStats>,
}

/// Asks the publisher that listens at an ipc path for its subscribers, which this process becomes none of.
///
/// # Errors
///
/// When no process listens there, it is no publisher, or it does not answer within a second, as a stopped one.
pub fn publisher_at(path: &Path) -> std::io::Result<PublisherReport> {
    let answer = inquiry::ask(path, ANSWER_TIMEOUT)?;
    let subscribers = answer.subscribers.unwrap_or_else(|| {
        let processes = connections::connected_processes(path).unwrap_or_default();
        let peer =
            |pid| PeerStats { pid: Some(pid), process: process_name(pid), ..PeerStats::default() };
        processes.into_iter().map(peer).collect()
    });
    Ok(PublisherReport { transport: answer.transport, subscribers })
}

/// Whether nodes of this process exchange long arrays in shared memory where their builder does not choose:
/// `CORTEX_SHARED_MEMORY`.
///
/// # Errors
///
/// When the system refuses such memory, as in some containers; then arrays go through sockets.
pub fn shared_memory() -> std::io::Result<bool> {
    shared::shares_memory_by_default().then(shared::try_memory).transpose().map(|on| on.is_some())
}

/// The process that holds the lock of an ipc path, as the kernel says; `None` where there is none, or none
/// in this process's namespace. A Python daemon takes no lock.
#[must_use]
pub fn claimed_by(path: &Path) -> Option<u32> {
    process::lock_holder(&lock_path(path))
}

/// A process in which a socket listens that was bound to `path`, also if the file was deleted since; `None`
/// where there is none, or none that this user may see.
#[must_use]
pub fn bound_by(path: &Path) -> Option<u32> {
    process::socket_process(path)
}

/// Whether a socket listens that was bound to `path`, also if the file was deleted since.
#[must_use]
pub fn is_bound(path: &Path) -> bool {
    process::is_bound(path)
}
