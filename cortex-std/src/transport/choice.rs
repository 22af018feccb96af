//! Which transport carries the messages of an address.

use std::fmt;
use std::sync::OnceLock;

/// The environment variable that chooses the transport of ipc addresses: `local` or `zmq`.
const VARIABLE: &str = "CORTEX_TRANSPORT";

/// What carries the messages of a publisher or a subscriber at `ipc://` addresses.
///
/// Both speak the same protocol at the same socket files, so peers of either kind understand each other.
/// `tcp://` and `inproc://` addresses always use libzmq.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// Cortex itself: the publishing thread writes, the receiving thread reads.
    Local,
    /// libzmq and its I/O threads.
    Zmq,
}

impl Transport {
    /// `local` or `libzmq`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Zmq => "libzmq",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Transport {
    /// Every transport; the contract tests run over this list.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 2] = [Self::Zmq, Self::Local];

    /// The transport of a subscriber that has no address yet.
    pub(crate) const DEFAULT: Self = Self::Local;

    /// The transport that carries messages to and from `address`, where `ipc` is that of ipc addresses.
    pub(super) fn for_address(address: &str, ipc: Self) -> Self {
        // Abstract sockets and wildcards are libzmq's.
        let is_path = |path: &str| !path.starts_with('@') && path != "*";
        match address.strip_prefix("ipc://") {
            Some(path) if is_path(path) => ipc,
            _ => Self::Zmq,
        }
    }

    /// The transport of ipc addresses in this process, where no builder chooses one.
    pub(super) fn from_environment() -> Self {
        static CHOICE: OnceLock<Transport> = OnceLock::new();
        *CHOICE.get_or_init(|| match std::env::var(VARIABLE).as_deref() {
            Ok("zmq") => Self::Zmq,
            Ok("local") | Err(_) => Self::Local,
            Ok(other) => {
                tracing::warn!("{VARIABLE}={other:?} is neither local nor zmq; using local");
                Self::Local
            }
        })
    }
}
