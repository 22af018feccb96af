//! Addresses, and the socket files of ipc addresses.

mod claim;
pub(crate) mod connections;
pub(crate) mod process;
mod tcp;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub(crate) use claim::{Claim, claim, connect_to, lock_path};
pub use claim::{Probe, probe};
pub(crate) use tcp::{AdvertisedAddress, RemoteHost, ipv6_of, topic_ports};

/// Bytes that fit into the path of a unix socket address, without the NUL at its end.
pub const MAX_PATH_LEN: usize = 107;

/// Where to bind or connect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    /// A unix socket at a path; `@name` is an abstract one without a file.
    Ipc(PathBuf),
    /// `host:port`; to bind, the host may be an interface or `*`, and the port `*`.
    Tcp(String),
    /// A name inside this process.
    Inproc(String),
}

/// Why an address, or its socket file, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not one of the three forms.
    #[error("the address {address:?} is none of ipc://path, tcp://host:port, inproc://name")]
    Invalid {
        /// The invalid address.
        address: String,
    },
    /// The name of the host cannot be resolved.
    #[error("the host name {host:?} is unknown")]
    UnknownHost {
        /// The host.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// Too long for a unix socket.
    #[error("the path {path:?} has {len} bytes, a unix socket takes at most 107")]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
    },
    /// Another process listens there, or holds the lock.
    #[error("the address {path:?} is in use{}", by_pid(*.pid))]
    AddressInUse {
        /// The path of the socket.
        path: PathBuf,
        /// The process, where the system tells it.
        pid: Option<u32>,
    },
    /// The file is not a socket, so it is not replaced.
    #[error("the path {path:?} exists and is not a socket")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot {operation} {path:?}")]
    File {
        /// The operation: "create the folder", "lock", ..
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

fn by_pid(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

impl EndpointError {
    fn file(operation: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::File { operation, path: path.to_owned(), source: source.into() }
    }
}

impl Endpoint {
    /// The path of the socket file, for an ipc address that has one.
    pub(crate) fn file_path(&self) -> Option<&Path> {
        match self {
            Self::Ipc(path) if !path.as_os_str().as_encoded_bytes().starts_with(b"@") => Some(path),
            _ => None,
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(address: &str) -> Result<Self, EndpointError> {
        let invalid = || EndpointError::Invalid { address: address.to_owned() };
        if address.contains('\0') {
            return Err(invalid());
        }
        match address.split_once("://") {
            Some((_, "")) | None => Err(invalid()),
            Some(("ipc", path)) => {
                check_path_len(Path::new(path))?;
                Ok(Self::Ipc(path.into()))
            }
            Some(("tcp", place)) => match place.rsplit_once(':') {
                Some((host, port)) if !host.is_empty() && is_port(port) => {
                    Ok(Self::Tcp(place.to_owned()))
                }
                _ => Err(invalid()),
            },
            Some(("inproc", name)) => Ok(Self::Inproc(name.to_owned())),
            Some(_) => Err(invalid()),
        }
    }
}

fn is_port(text: &str) -> bool {
    // `parse` accepts a sign.
    text == "*" || (text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipc(path) => write!(f, "ipc://{}", path.display()),
            Self::Tcp(place) => write!(f, "tcp://{place}"),
            Self::Inproc(name) => write!(f, "inproc://{name}"),
        }
    }
}

/// Rejects a path that is too long for a unix socket.
///
/// # Errors
/// `PathTooLong`.
fn check_path_len(path: &Path) -> Result<(), EndpointError> {
    let len = path.as_os_str().len();
    if len > MAX_PATH_LEN {
        return Err(EndpointError::PathTooLong { path: path.to_owned(), len });
    }
    Ok(())
}

/// The ipc address of the publisher of `topic` in `node`: a function of the two names, and different for
/// different names.
///
/// `<dir>/topics/<node>__<topic>-<hash>.sock`, where node and topic are readable (letters, digits, `.` and
/// `-`; any other character becomes `_`; cut where the path would be too long) and the hash, 64 bits of
/// FNV-1a, is unique. A `dir` that leaves no room for the hash gives an address that is too long, which
/// [`claim()`] rejects.
pub(crate) fn topic_address(dir: &Path, node: &str, topic: &str) -> String {
    let folder = dir.join("topics");
    let readable = |text: &str| -> String {
        text.trim_start_matches('/')
            .chars()
            .map(|c| match c {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => c,
                _ => '_',
            })
            .collect()
    };
    let tail = format!("-{:016x}.sock", identity(node, topic));
    let mut name = format!("{}__{}", readable(node), readable(topic));
    let used = folder.as_os_str().len() + "/".len() + tail.len();
    // All characters are ASCII here, so any index is a character boundary.
    name.truncate(MAX_PATH_LEN.saturating_sub(used));
    format!("ipc://{}/{name}{tail}", folder.display())
}

/// FNV-1a of both names, after the length of the first, so that no text can move between them.
fn identity(node: &str, topic: &str) -> u64 {
    let len = (node.len() as u64).to_le_bytes();
    fnv1a(len.iter().chain(node.as_bytes()).chain(topic.as_bytes()))
}

/// 64 bits of FNV-1a: detects accidental differences, not intended ones.
pub(crate) fn fnv1a<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn addresses_are_parsed_and_formatted() {
        for text in [
            "ipc:///tmp/x.sock",
            "ipc://relative",
            "ipc://@abstract",
            "tcp://127.0.0.1:5555",
            "tcp://*:*",
            "tcp://[::1]:0",
            "inproc://name",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "://",
            "ipc://",
            "tcp://",
            "tcp://host",
            "tcp://:1",
            "tcp://h:",
            "tcp://h:65536",
            "tcp://h:+1",
            "tcp://h:-1",
            "udp://h:1",
            "inproc://",
            "/tmp/x.sock",
            "ipc://a\0b",
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert!(matches!(error, EndpointError::Invalid { .. }), "{text:?}: {error}");
        }
        assert_eq!("ipc:///x".parse::<Endpoint>().unwrap().file_path(), Some(Path::new("/x")));
        assert_eq!("ipc://@x".parse::<Endpoint>().unwrap().file_path(), None);
        assert_eq!("tcp://a:1".parse::<Endpoint>().unwrap().file_path(), None);
    }

    #[test]
    fn rejects_a_path_that_is_too_long() {
        let fits = format!("ipc://{}", "x".repeat(MAX_PATH_LEN));
        assert!(fits.parse::<Endpoint>().is_ok());
        let error = format!("{fits}x").parse::<Endpoint>().unwrap_err();
        assert!(matches!(error, EndpointError::PathTooLong { len: 108, .. }), "{error}");
    }

    #[test]
    fn a_topic_address_is_a_function_of_node_and_topic() {
        let dir = Path::new("/tmp/cortex");
        let address = topic_address(dir, "camera", "/cam/frame");
        assert_eq!(address, "ipc:///tmp/cortex/topics/camera__cam_frame-003c1ee8be5fa746.sock");
        assert_eq!(address, topic_address(dir, "camera", "/cam/frame"));
    }

    #[test]
    fn topic_addresses_do_not_collide() {
        let dir = Path::new("/tmp/cortex");
        let long = "x".repeat(300);
        let longer = format!("{long}y");
        let names = [
            ("n", "/a/b"),
            ("n", "/a_b"),
            ("n", "a_b"),
            ("n", "//a_b"),
            ("n", "a/b"),
            ("n_", "_a_b"),
            ("n__a", "b"),
            ("n", "a__b"),
            ("", ""),
            ("", "_"),
            ("ä", "ö"),
            ("ö", "ä"),
            ("a\0", "b"),
            ("a", "\0b"),
            (&long, "t"),
            (&longer, "t"),
            ("n", &long),
            ("n", &longer),
            ("..", "../.."),
        ];
        let addresses: HashSet<_> =
            names.iter().map(|(node, topic)| topic_address(dir, node, topic)).collect();
        assert_eq!(addresses.len(), names.len());
        for address in addresses {
            let Ok(Endpoint::Ipc(path)) = address.parse() else { panic!("{address}") };
            assert_eq!(path.parent(), Some(Path::new("/tmp/cortex/topics")), "{address}");
            assert!(address.is_ascii());
        }
        let deep = PathBuf::from("/d".repeat(80));
        let error = topic_address(&deep, "n", "t").parse::<Endpoint>().unwrap_err();
        assert!(matches!(error, EndpointError::PathTooLong { .. }));
    }
}
