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

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use crate::endpoint::{MAX_PATH_LEN, Probe, probe};
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

/// The process id in the lock file `PATH.lock` of an ipc path.
///
/// The holder of the lock is alive; a Python daemon takes no lock.
#[must_use]
pub fn claimed_by(path: &Path) -> Option<u32> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let mut text = String::new();
    File::open(lock).ok()?.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
