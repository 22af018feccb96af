//! The connections that a publisher's ipc socket accepted.
//!
//! libzmq reads ZMQ_SNDBUF in its tcp code only, and a unix socket that was accepted takes its buffer
//! from the system's default (208 KiB), whatever the listening one has. With a larger one a picture
//! crosses in fewer wake-ups. So a publisher looks its connections up among the descriptors of this
//! process, by the path they were accepted at, before the first large message after a subscriber came.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketAddrUnix, getsockname};

/// Bytes that the kernel may hold for one subscriber. It grants twice as much, for its bookkeeping, or what
/// `net.core.wmem_max` allows; only what waits to be read takes memory.
const SEND_BUFFER: usize = 1 << 20;

/// The path of an ipc listener, and whether it may have accepted connections since the last look-up.
#[derive(Debug)]
pub(super) struct Accepted {
    path: PathBuf,
    has_new: bool,
}

impl Accepted {
    /// The connections of `address`; `None` for an address without a path.
    pub(super) fn at(address: &str) -> Option<Self> {
        let path = address.strip_prefix("ipc://").filter(|path| !path.starts_with('@'))?;
        Some(Self { path: path.into(), has_new: false })
    }

    /// A peer came or left, so there may be new connections.
    pub(super) fn record_change(&mut self) {
        self.has_new = true;
    }

    /// Whether there may be connections since the last [`enlarge_buffers`](Self::enlarge_buffers).
    pub(super) fn has_new(&self) -> bool {
        self.has_new
    }

    /// Enlarges the send buffers of the connections since the last call.
    ///
    /// Where the system refuses, they keep their buffers: sending is slower, nothing else.
    pub(super) fn enlarge_buffers(&mut self) {
        if !std::mem::take(&mut self.has_new) {
            return;
        }
        let count = enlarge(&self.path).unwrap_or_default();
        tracing::trace!(path = %self.path.display(), count, "connections have larger buffers");
    }
}

/// The number of connections with a larger buffer.
fn enlarge(path: &Path) -> std::io::Result<usize> {
    let mut count = 0_usize;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let Some(fd) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // SAFETY: `fd` was open a moment ago. If it has been closed since, the calls below fail or
        // meet another descriptor of this process, of which they read the name; only a socket that
        // was accepted at `path`, or listens there, is changed, and only in the size of its buffer.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let Ok(name) = getsockname(fd) else { continue };
        if name.address_family() != AddressFamily::UNIX {
            continue;
        }
        let Ok(name) = SocketAddrUnix::try_from(name) else { continue };
        let is_ours = name.path_bytes() == Some(path.as_os_str().as_encoded_bytes());
        if is_ours && sockopt::set_socket_send_buffer_size(fd, SEND_BUFFER).is_ok() {
            count = count.saturating_add(1);
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn only_connections_accepted_at_the_path_get_a_larger_buffer() {
        let dir = tempfile::tempdir().unwrap();
        let sockets = ["one", "two"].map(|name| {
            let path = dir.path().join(name);
            let listener = UnixListener::bind(&path).unwrap();
            let peer = UnixStream::connect(&path).unwrap();
            (listener.accept().unwrap().0, peer, listener)
        });
        let size = |stream: &UnixStream| sockopt::socket_send_buffer_size(stream).unwrap();
        let before = size(&sockets[0].0);
        let address = format!("ipc://{}", dir.path().join("one").display());
        let mut accepted = Accepted::at(&address).unwrap();
        accepted.enlarge_buffers();
        assert_eq!(size(&sockets[0].0), before);
        accepted.record_change();
        accepted.enlarge_buffers();
        assert!(size(&sockets[0].0) > before, "net.core.wmem_max is below a megabyte?");
        for other in [&sockets[0].1, &sockets[1].0, &sockets[1].1] {
            assert_eq!(size(other), before);
        }
    }

    #[test]
    fn only_ipc_paths_have_such_connections() {
        assert!(Accepted::at("tcp://127.0.0.1:1").is_none());
        assert!(Accepted::at("ipc://@abstract").is_none());
        assert!(Accepted::at("inproc://x").is_none());
    }
}
