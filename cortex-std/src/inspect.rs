//! What diagnostic tools want to know of a machine: who listens at an ipc address, and which libzmq
//! this program uses.
//!
//! # Examples
//!
//! ```
//! use cortex_std::inspect::{Libzmq, Probe, probe};
//!
//! let folder = tempfile::tempdir()?;
//! assert_eq!(probe(&folder.path().join("nobody.sock")), Probe::Absent);
//! assert!(Libzmq::used().version >= (4, 3, 0));
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use crate::endpoint::{MAX_PATH_LEN, Probe, probe};
use crate::socket::library;

/// A libzmq.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Libzmq {
    /// Major, minor, patch.
    pub version: (u32, u32, u32),
    /// What it was built with, by libzmq's names, such as `ipc` and `curve`.
    pub capabilities: Vec<(&'static str, bool)>,
}

/// Everything that `zmq_has` can be asked.
const CAPABILITIES: [&str; 9] =
    ["ipc", "curve", "draft", "gssapi", "norm", "pgm", "tipc", "vmci", "WS"];

impl Libzmq {
    /// The one that this program uses.
    #[must_use]
    pub fn used() -> Self {
        let capabilities = CAPABILITIES.map(|name| (name, library::has(name)));
        Self { version: library::version(), capabilities: capabilities.to_vec() }
    }
}

/// The process that has claimed an ipc path, by its word in the lock file `PATH.lock`.
///
/// Whoever holds the lock is alive; a Python daemon takes none.
#[must_use]
pub fn claimed_by(path: &Path) -> Option<u32> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let mut text = String::new();
    File::open(lock).ok()?.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
