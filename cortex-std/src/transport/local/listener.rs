//! Listening at an ipc address.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};

use crate::transport::error::SocketError;

/// Connections that wait to be accepted.
const LISTEN_QUEUE: i32 = 128;

/// A socket that listens at an ipc address. A file that is there is replaced.
pub(super) fn open_listener(address: &str) -> Result<OwnedFd, SocketError> {
    let failed =
        |errno: Errno| SocketError::from_errno(errno.raw_os_error(), "bind", Some(address));
    let path = address.strip_prefix("ipc://").unwrap_or_default();
    let name = SocketAddrUnix::new(path).map_err(failed)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
    match std::fs::remove_file(Path::new(path)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            return Err(SocketError::from_errno(errno, "bind", Some(address)));
        }
        _ => {}
    }
    bind(&listener, &name).map_err(failed)?;
    listen(&listener, LISTEN_QUEUE).map_err(failed)?;
    Ok(listener)
}
