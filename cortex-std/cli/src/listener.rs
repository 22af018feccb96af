//! Who listens at an address, as far as this machine can tell.

use std::path::Path;

use cortex_std::inspect::{Probe, probe};

use crate::output::Paint;

/// Whether somebody listens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listener {
    /// An ipc address and what is there.
    Ipc(Probe),
    /// Of another machine, or behind a network: only a connection tells.
    Elsewhere,
}

/// Looks, without waiting.
pub(crate) fn of(address: &str) -> Listener {
    match address.strip_prefix("ipc://") {
        Some(path) if !path.starts_with('@') => Listener::Ipc(probe(Path::new(path))),
        _ => Listener::Elsewhere,
    }
}

impl Listener {
    /// `None` where that cannot be told.
    pub(crate) fn is_alive(self) -> Option<bool> {
        match self {
            Self::Ipc(Probe::Alive { .. }) => Some(true),
            Self::Ipc(Probe::Refused | Probe::Absent) => Some(false),
            Self::Ipc(_) | Self::Elsewhere => None,
        }
    }

    pub(crate) fn pid(self) -> Option<u32> {
        match self {
            Self::Ipc(Probe::Alive { pid }) => pid,
            _ => None,
        }
    }

    pub(crate) fn describe(self, paint: Paint) -> String {
        match self {
            Self::Ipc(Probe::Alive { pid: Some(pid) }) => {
                format!("{} (process {pid})", paint.good("yes"))
            }
            Self::Ipc(Probe::Alive { pid: None }) => paint.good("yes"),
            Self::Ipc(Probe::Refused) => paint.bad("no: a socket file that nobody serves"),
            Self::Ipc(Probe::Absent) => paint.bad("no: there is no such file"),
            Self::Ipc(_) => paint.warning("unknown: no permission, or not a socket"),
            Self::Elsewhere => "only a connection tells".to_owned(),
        }
    }
}
