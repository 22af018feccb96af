//! Queries of diagnostic tools: the process that listens at an ipc address, and the libzmq in use.
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

pub use crate::endpoint::{MAX_PATH_LEN, Probe, probe};
use crate::endpoint::{lock_path, process};
pub use crate::runtime::signal::ignores_signal;
use crate::transport::library;

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
