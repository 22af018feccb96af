//! Errors of sockets.

use std::fmt;

/// The error numbers of libzmq's own, which no system call returns.
pub(super) mod zmq_errno {
    const BASE: i32 = 156_384_712;
    /// The operation does not fit the state of the socket.
    pub(in crate::transport) const EFSM: i32 = BASE + 51;
    /// The transport does not fit the kind of socket.
    pub(in crate::transport) const ENOCOMPATPROTO: i32 = BASE + 52;
    /// The context was terminated.
    pub(in crate::transport) const ETERM: i32 = BASE + 53;
    /// No I/O thread is left.
    pub(in crate::transport) const EMTHREAD: i32 = BASE + 54;
}

/// An operation on a socket or a frame that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketError {
    kind: SocketErrorKind,
    operation: &'static str,
    address: Option<Box<str>>,
}

/// Why an operation on a socket failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketErrorKind {
    /// Another socket listens there.
    AddressInUse,
    /// The file system or the kernel does not let this user do it.
    PermissionDenied,
    /// An ipc path is longer than a unix socket address holds.
    PathTooLong,
    /// Not an address of a supported transport.
    InvalidAddress,
    /// A folder of an ipc path, or the endpoint to remove, does not exist.
    NotFound,
    /// The context was shut down.
    Terminated,
    /// Any other error number, libzmq's own ones included.
    Other(i32),
}

impl SocketError {
    /// The error of a system call's or libzmq's error number.
    pub(super) fn from_errno(errno: i32, operation: &'static str, address: Option<&str>) -> Self {
        let kind = match errno {
            zmq_errno::ETERM => SocketErrorKind::Terminated,
            libc::EADDRINUSE => SocketErrorKind::AddressInUse,
            libc::EACCES | libc::EPERM => SocketErrorKind::PermissionDenied,
            libc::ENAMETOOLONG => SocketErrorKind::PathTooLong,
            libc::ENOENT => SocketErrorKind::NotFound,
            // Without an address these mean a wrong option, which is no address error.
            libc::EINVAL | libc::EPROTONOSUPPORT | libc::ENODEV | zmq_errno::ENOCOMPATPROTO
                if address.is_some() =>
            {
                SocketErrorKind::InvalidAddress
            }
            other => SocketErrorKind::Other(other),
        };
        Self { kind, operation, address: address.map(Into::into) }
    }

    /// An address that is not connected.
    pub(crate) fn not_found(operation: &'static str, address: &str) -> Self {
        Self { kind: SocketErrorKind::NotFound, operation, address: Some(address.into()) }
    }

    pub(super) fn invalid_address(operation: &'static str, address: &str) -> Self {
        Self { kind: SocketErrorKind::InvalidAddress, operation, address: Some(address.into()) }
    }

    /// Why it failed.
    #[must_use]
    pub fn kind(&self) -> SocketErrorKind {
        self.kind
    }

    /// The operation: "bind", "send", ..
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The address of the operation, where it has one.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// True once the context is shut down: the socket will never work again.
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        self.kind == SocketErrorKind::Terminated
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.operation)?;
        if let Some(address) = &self.address {
            write!(f, " {address:?}")?;
        }
        write!(f, ": {}", self.kind)
    }
}

impl std::error::Error for SocketError {}

impl fmt::Display for SocketErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressInUse => f.write_str("the address is in use"),
            Self::PermissionDenied => f.write_str("permission denied"),
            Self::PathTooLong => f.write_str("the path is longer than 107 bytes"),
            Self::InvalidAddress => f.write_str("the address is not valid"),
            Self::NotFound => f.write_str("no such file, folder or endpoint"),
            Self::Terminated => f.write_str("the context was shut down"),
            Self::Other(zmq_errno::EFSM) => {
                f.write_str("a request and its reply must take turns (EFSM)")
            }
            Self::Other(zmq_errno::EMTHREAD) => f.write_str("no i/o thread is left (EMTHREAD)"),
            Self::Other(zmq_errno::ENOCOMPATPROTO) => {
                f.write_str("the transport does not fit this kind of socket (ENOCOMPATPROTO)")
            }
            Self::Other(libc::EMFILE) => f.write_str(
                "too few file descriptors are left: raise the hard limit (ulimit -Hn), or use fewer nodes and connections in this process",
            ),
            // The standard library has a text for every number.
            Self::Other(errno) => write!(f, "{}", std::io::Error::from_raw_os_error(*errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_operation_and_the_address() {
        let error = SocketError::from_errno(libc::EADDRINUSE, "bind", Some("tcp://*:1"));
        assert_eq!(error.to_string(), "cannot bind \"tcp://*:1\": the address is in use");
        assert_eq!(error.kind(), SocketErrorKind::AddressInUse);
    }

    #[test]
    fn a_terminated_context_has_its_own_kind() {
        let error = SocketError::from_errno(zmq_errno::ETERM, "receive", None);
        assert!(error.is_terminated());
        assert_eq!(error.operation(), "receive");
        assert_eq!(error.address(), None);
    }

    #[test]
    fn every_error_number_has_a_text() {
        for errno in (-10..300).chain(156_384_700..156_384_800) {
            for address in [None, Some("ipc://x")] {
                let error = SocketError::from_errno(errno, "bind", address);
                assert!(error.to_string().starts_with("cannot bind"));
            }
        }
    }
}
