//! The file descriptors of this process: its limit is raised, and sockets are refused before it is reached.
//!
//! libzmq aborts the process where it needs a descriptor for itself and none is left: in its threads, and
//! where it accepts a connection at an ipc address. So a socket is created only while a reserve is left.

use std::sync::Once;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::error::SocketError;

/// Set to `default`, it leaves the limit as it is.
const SWITCH: &str = "CORTEX_OPEN_FILES";
/// The highest limit that is set: tables of descriptors grow with it in some programs.
const MAX_LIMIT: u64 = 1 << 20;
/// Descriptors that stay free when a socket is created: for libzmq's threads, which begin with the first
/// socket, for connections, and for files of the program.
pub(crate) const RESERVE: u64 = 16;

/// Raises the soft limit of open files to the hard one, once for each process, which it concerns as a whole.
pub(crate) fn raise_limit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if std::env::var_os(SWITCH).is_some_and(|value| value == "default") {
            return;
        }
        let limit = getrlimit(Resource::Nofile);
        let highest = limit.maximum.unwrap_or(MAX_LIMIT).min(MAX_LIMIT);
        if limit.current.is_none_or(|current| current >= highest) {
            return;
        }
        let raised = Rlimit { current: Some(highest), maximum: limit.maximum };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => tracing::debug!(
                from = limit.current,
                to = highest,
                "raised the limit of open files"
            ),
            Err(errno) => tracing::debug!(%errno, "cannot raise the limit of open files"),
        }
    });
}

/// Checks that a socket may be created.
///
/// # Errors
/// When fewer descriptors are free than the reserve.
pub(crate) fn check_reserve(operation: &'static str) -> Result<(), SocketError> {
    match is_scarce() {
        true => Err(SocketError::from_errno(libc::EMFILE, operation, None)),
        false => Ok(()),
    }
}

/// Whether fewer descriptors are free than the reserve.
pub(crate) fn is_scarce() -> bool {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return false };
    // The lowest free number is one or two calls; counting takes a call for each descriptor or so.
    let lowest = rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), 0);
    let is_far = lowest.is_ok_and(|fd| {
        use std::os::fd::AsRawFd;
        u64::try_from(fd.as_raw_fd()).is_ok_and(|number| number < limit / 2)
    });
    if is_far {
        return false;
    }
    let Ok(files) = std::fs::read_dir("/proc/self/fd") else { return true };
    // The folder itself is open while it is read.
    let count = u64::try_from(files.count()).unwrap_or(u64::MAX).saturating_sub(1);
    count.saturating_add(RESERVE) > limit
}
