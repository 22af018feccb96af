//! The process behind a unix socket.

use std::os::fd::{AsRawFd, BorrowedFd};

/// The process that bound the socket to which this one is connected, in this process's namespace; `None`
/// where it has no number here, as a process of another container.
pub(crate) fn peer_process(socket: BorrowedFd<'_>) -> Option<u32> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = libc::socklen_t::try_from(size_of::<libc::ucred>()).ok()?;
    // SAFETY: an open socket, an option of this type, and room for one; the kernel writes at most `len`
    // bytes. (rustix has the call, but its type excludes the pid 0 that another namespace gives.)
    let rc = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &mut len,
        )
    };
    u32::try_from(peer.pid).ok().filter(|pid| rc == 0 && *pid > 0)
}
