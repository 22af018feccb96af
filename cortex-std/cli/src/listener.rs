//! Whether a process listens at an address.

use std::path::Path;

use cortex_std::inspect::{Probe, bound_by, is_bound, probe};

use crate::output::Paint;

/// Whether a process listens at an address, as far as this machine can tell without connecting.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listener {
    /// An ipc address, and the state of its socket file.
    Ipc(Probe),
    /// An ipc address whose socket file was deleted while the process of the listener runs.
    Deleted(Option<u32>),
    /// Any other address.
    NotLocal,
}

impl Listener {
    /// Probes an address, without waiting.
    pub(crate) fn at(address: &str) -> Self {
        match socket_path(address) {
            // Its binder may have ended after a child inherited the socket.
            Some(path) => match probe(path) {
                Probe::Alive { pid: None } => Self::Ipc(Probe::Alive { pid: bound_by(path) }),
                Probe::Absent if is_bound(path) => Self::Deleted(bound_by(path)),
                found => Self::Ipc(found),
            },
            None => Self::NotLocal,
        }
    }

    /// Whether a process listens; `None` if that is unknown.
    pub(crate) fn is_alive(self) -> Option<bool> {
        match self {
            Self::Ipc(Probe::Alive { .. }) => Some(true),
            Self::Ipc(Probe::Refused | Probe::Absent) | Self::Deleted(_) => Some(false),
            Self::Ipc(_) | Self::NotLocal => None,
        }
    }

    /// The process that listens, if it is known.
    pub(crate) fn pid(self) -> Option<u32> {
        match self {
            Self::Ipc(Probe::Alive { pid }) | Self::Deleted(pid) => pid,
            _ => None,
        }
    }

    /// The state in words, with colours.
    pub(crate) fn describe(self, paint: Paint) -> String {
        match self {
            Self::Ipc(Probe::Alive { pid: Some(pid) }) => {
                format!("{} (process {pid})", paint.good("yes"))
            }
            Self::Ipc(Probe::Alive { pid: None }) => paint.good("yes"),
            Self::Deleted(Some(pid)) => {
                paint.bad(&format!("no: the socket file was deleted, process {pid} runs"))
            }
            Self::Deleted(None) => paint.bad("no: the socket file was deleted, the publisher runs"),
            Self::Ipc(Probe::Refused) => paint.bad("no: the socket file is stale"),
            Self::Ipc(Probe::Absent) => paint.bad("no: the socket file is missing"),
            Self::Ipc(_) => paint.warning("unknown: no permission, or not a socket"),
            Self::NotLocal => "unknown: not an ipc address".to_owned(),
        }
    }
}

/// The socket file of an ipc address; `None` for abstract sockets and other transports.
pub(crate) fn socket_path(address: &str) -> Option<&Path> {
    address.strip_prefix("ipc://").filter(|path| !path.starts_with('@')).map(Path::new)
}
