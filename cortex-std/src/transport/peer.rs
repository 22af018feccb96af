//! The process behind a unix socket.

use std::os::fd::{AsRawFd, BorrowedFd};

/// The name of a process, as the kernel shows it: up to 15 bytes of its program's name.
pub(crate) fn process_name(pid: u32) -> Option<String> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned())
}

/// The process at the other end of a connected socket: the one that bound the socket that accepted this one, or
/// that connected to the one that was accepted. In this process's namespace; `None`
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
