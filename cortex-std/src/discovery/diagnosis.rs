//! Why a daemon does not answer, and why a publisher's address cannot be reached: one judgement for the
//! library's errors and log, and for every command.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access, statvfs};
use rustix::io::Errno;

use crate::endpoint::{Endpoint, connect_to, lock_path, process};

/// How long connecting to a tcp address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);

/// Why no daemon answers at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// No socket file exists.
    Absent,
    /// The socket file is stale: its daemon died.
    Stale,
    /// The socket file was deleted while its daemon runs.
    Deleted {
        /// The daemon, where this user sees it.
        pid: Option<u32>,
    },
    /// A process listens and does not answer.
    Silent {
        /// The process, where this user sees it; `None` also for one of another container.
        pid: Option<u32>,
        /// Whether the process is stopped, by SIGSTOP or Ctrl-Z.
        is_stopped: bool,
    },
    /// This user may not use a file.
    Forbidden {
        /// The socket file or a folder of its path.
        path: PathBuf,
        /// The user that owns it.
        owner: u32,
    },
    /// The folder of the socket is on a file system that is mounted read-only.
    ReadOnly {
        /// The folder.
        folder: PathBuf,
    },
    /// The file system of the folder has no space or no inode left.
    Full {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of the path is not a socket, or not a folder.
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The name of the host cannot be resolved.
    UnknownHost {
        /// The host.
        host: String,
        /// The resolver's reason.
        reason: String,
    },
    /// The host refuses the connection: no process listens at the port.
    Refused,
    /// The host does not answer: it is down, or a firewall discards packets.
    NoAnswer,
    /// A process accepts connections at the port and does not answer requests.
    Unresponsive,
    /// No other fault was found.
    Other(String),
}

/// Why no daemon answers at an address, and what to do.
///
/// # Examples
///
/// ```
/// use cortex_std::discovery::{Diagnosis, Fault};
///
/// let found = Diagnosis::of("ipc:///nonexistent/discovery.sock");
/// println!("{}: {}", found.reason(), found.advice());
/// assert_eq!(*found.fault(), Fault::Absent);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    address: String,
    fault: Fault,
}

impl Diagnosis {
    /// Examines the address of a daemon that does not answer. May resolve a name, and waits at most 300 ms
    /// for a tcp connection.
    #[must_use]
    pub fn of(address: &str) -> Self {
        let fault = match address.parse() {
            Ok(Endpoint::Tcp(place)) => examine_tcp(&place),
            _ => return Self::at_once(address),
        };
        Self { address: address.to_owned(), fault }
    }

    /// The same without waiting: of a tcp address only that it does not answer.
    pub(crate) fn at_once(address: &str) -> Self {
        let fault = match address.parse::<Endpoint>() {
            Ok(endpoint) => match endpoint.file_path() {
                Some(path) => examine_path(path),
                None => Fault::Other("no answer in time".to_owned()),
            },
            Err(error) => Fault::Other(error.to_string()),
        };
        Self { address: address.to_owned(), fault }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The fault.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// What is wrong, as part of a sentence.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.fault {
            Fault::Absent => "the socket file does not exist".to_owned(),
            Fault::Stale => "the socket file is stale, its daemon died".to_owned(),
            Fault::Deleted { pid } => {
                format!("its socket file was deleted while {} runs", process_text(*pid))
            }
            Fault::Silent { pid, is_stopped: true } => {
                format!("{} listens there and is stopped", process_text(*pid))
            }
            Fault::Silent { pid, .. } => {
                format!("{} listens there but does not respond", process_text(*pid))
            }
            Fault::Forbidden { path, owner } => {
                format!(
                    "{} belongs to user {}, who does not share it",
                    path.display(),
                    user(*owner)
                )
            }
            Fault::ReadOnly { folder } => {
                format!("the folder {} is on a read-only file system", folder.display())
            }
            Fault::Full { folder } => {
                format!("the file system of the folder {} is full", folder.display())
            }
            Fault::NotASocket { path } => format!("{} is not a socket", path.display()),
            Fault::UnknownHost { host, reason } => {
                format!("the name {host} is unknown ({reason})")
            }
            Fault::Refused => {
                "the host refuses the connection, no process listens there".to_owned()
            }
            Fault::NoAnswer => "the host does not answer".to_owned(),
            Fault::Unresponsive => "a process listens there but does not respond".to_owned(),
            Fault::Other(reason) => reason.clone(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match &self.fault {
            Fault::Absent | Fault::Stale => "start a Rust node, which hosts it, or `cortex-discovery`".to_owned(),
            Fault::Deleted { .. } => {
                "a Rust daemon binds it again within a second; restart a Python daemon".to_owned()
            }
            Fault::Silent { pid: Some(pid), is_stopped: true } => {
                format!("continue it with `kill -CONT {pid}`, or end it and start a daemon")
            }
            Fault::Silent { pid: None, .. } => {
                "it runs in another container or as another user: continue or restart it there, or set CORTEX_DISCOVERY to another address".to_owned()
            }
            Fault::Silent { .. } | Fault::Unresponsive => {
                "it hangs, is overloaded, or is not a daemon: end it and start a daemon".to_owned()
            }
            Fault::Forbidden { .. } => {
                "run as that user, start its programs under umask 002 (shared with the group) or 000 (with every user), or set CORTEX_DISCOVERY to a folder of this user".to_owned()
            }
            Fault::ReadOnly { .. } => {
                "set CORTEX_DISCOVERY to a folder that can be written".to_owned()
            }
            Fault::Full { folder } => format!(
                "delete files there (df -h {0}; df -i {0}), or set CORTEX_DISCOVERY to another folder",
                folder.display()
            ),
            Fault::NotASocket { .. } => {
                "move that file away, or set CORTEX_DISCOVERY to another path".to_owned()
            }
            Fault::UnknownHost { .. } => {
                "correct the name, add it to /etc/hosts, or use the address of the host".to_owned()
            }
            Fault::Refused => {
                let (host, port) = self.address.rsplit_once(':').unwrap_or((&self.address, "PORT"));
                // A daemon that listens at 0.0.0.0 has no IPv6 address.
                let any = if host.ends_with(']') { "[::]" } else { "0.0.0.0" };
                format!("start one on that host with `cortex-discovery --address tcp://{any}:{port}`, or correct the port")
            }
            Fault::NoAnswer => {
                "check the address, the cable and the firewall of that host".to_owned()
            }
            Fault::Other(_) => "run `cortex doctor`".to_owned(),
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, .. } = self;
        let (reason, advice) = (self.reason(), self.advice());
        write!(f, "no discovery daemon answers at {address}: {reason} ({advice})")
    }
}

/// Why subscribers of this user on this machine cannot connect to a publisher, if that is certain: its
/// address is the loopback interface of another machine, or another user's socket file.
///
/// `discovery` is the address of the daemon by which the publisher was found.
///
/// # Examples
///
/// ```
/// use cortex_std::discovery::unreachable_publisher;
///
/// let found = unreachable_publisher("tcp://192.0.2.1:5555", "tcp://127.0.0.1:20001");
/// assert!(found.is_some_and(|reason| reason.contains("loopback")));
/// assert_eq!(unreachable_publisher("tcp://127.0.0.1:5555", "tcp://127.0.0.1:20001"), None);
/// ```
#[must_use]
pub fn unreachable_publisher(discovery: &str, publisher: &str) -> Option<String> {
    if let Some(path) = publisher.parse::<Endpoint>().ok()?.file_path() {
        if access(path, Access::WRITE_OK) != Err(Errno::ACCESS) {
            return None;
        }
        // The file itself, or the folder that hides it.
        let seen = |path: &&Path| fs::symlink_metadata(path).is_ok();
        let path = path.ancestors().find(seen)?;
        return Some(format!(
            "{} belongs to user {}, who does not share it: start its node under umask 002 (shared with the group) or 000 (with every user), or run as that user",
            path.display(),
            user(fs::symlink_metadata(path).ok()?.uid())
        ));
    }
    let daemon = discovery.strip_prefix("tcp://")?;
    if !is_loopback(publisher) || is_loopback(discovery) || is_own(daemon) {
        return None;
    }
    Some(loopback_reason(publisher))
}

/// What is wrong with a loopback address at a daemon that serves other machines.
pub(crate) fn loopback_reason(publisher: &str) -> String {
    format!(
        "{publisher} is a loopback address, which only the publisher's own machine reaches: start its node with the daemon's address in the network as CORTEX_DISCOVERY, not 127.0.0.1"
    )
}

/// Whether a tcp address is one of the loopback interface.
pub(crate) fn is_loopback(address: &str) -> bool {
    let place = address.strip_prefix("tcp://").unwrap_or_default();
    match place.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        Err(_) => place.rsplit_once(':').is_some_and(|(host, _)| host == "localhost"),
    }
}

/// Whether the host of a place is one of the addresses of this machine; false for a name.
fn is_own(place: &str) -> bool {
    let Ok(address) = place.parse::<SocketAddr>() else { return false };
    // Only an own address can be bound.
    address.ip() != IpAddr::from([0, 0, 0, 0])
        && std::net::UdpSocket::bind((address.ip(), 0)).is_ok()
}

fn examine_path(path: &Path) -> Fault {
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => Fault::NotASocket { path: path.to_owned() },
        Ok(file) => match connect_to(path) {
            Ok(pid) => silent(pid.or_else(|| process::socket_process(path))),
            // The queue of the listener is full: it does not accept.
            Err(Errno::AGAIN) => silent(process::socket_process(path)),
            Err(Errno::CONNREFUSED) => folder_fault(path).unwrap_or(Fault::Stale),
            Err(Errno::NOENT) => absent(path),
            Err(Errno::ACCESS | Errno::PERM) => {
                Fault::Forbidden { path: path.to_owned(), owner: file.uid() }
            }
            Err(Errno::PROTOTYPE) => Fault::NotASocket { path: path.to_owned() },
            Err(errno) => Fault::Other(errno.to_string()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => absent(path),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let file = path.ancestors().find(|path| path.is_file()).unwrap_or(path);
            Fault::NotASocket { path: file.to_owned() }
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            folder_fault(path).unwrap_or_else(|| Fault::Other(error.to_string()))
        }
        Err(error) => Fault::Other(error.to_string()),
    }
}

fn silent(pid: Option<u32>) -> Fault {
    Fault::Silent { pid, is_stopped: pid.is_some_and(process::is_stopped) }
}

/// The fault where no file is at the path.
fn absent(path: &Path) -> Fault {
    if process::is_bound(path) {
        return Fault::Deleted { pid: process::socket_process(path) };
    }
    match process::lock_holder(&lock_path(path)) {
        Some(pid) => Fault::Deleted { pid: Some(pid) },
        None => folder_fault(path).unwrap_or(Fault::Absent),
    }
}

/// Why a socket file cannot be created in the folder of the path, or its first ancestor that exists.
fn folder_fault(path: &Path) -> Option<Fault> {
    let folder = path.ancestors().skip(1).find(|folder| fs::symlink_metadata(folder).is_ok())?;
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => {}
        Err(Errno::ROFS) => return Some(Fault::ReadOnly { folder: folder.to_owned() }),
        Err(_) => {
            let owner = fs::symlink_metadata(folder).ok()?.uid();
            return Some(Fault::Forbidden { path: folder.to_owned(), owner });
        }
    }
    let system = statvfs(folder).ok()?;
    let is_full = (system.f_blocks > 0 && system.f_bavail == 0)
        || (system.f_files > 0 && system.f_favail == 0);
    is_full.then(|| Fault::Full { folder: folder.to_owned() })
}

fn examine_tcp(place: &str) -> Fault {
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host).to_owned();
    let unknown = |reason: String| Fault::UnknownHost { host: host.clone(), reason };
    let addresses = match place.to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => return unknown(error.to_string()),
    };
    let mut fault = unknown("it has no address".to_owned());
    for address in addresses.take(2) {
        fault = match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(_) => return Fault::Unresponsive,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Fault::Refused,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Fault::NoAnswer,
            Err(error) => Fault::Other(error.to_string()),
        };
    }
    fault
}

/// A process by number and name.
fn process_text(pid: Option<u32>) -> String {
    let Some(pid) = pid else { return "an unknown process".to_owned() };
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    match name.trim() {
        "" => format!("process {pid}"),
        name => format!("process {pid} ({})", name.escape_debug()),
    }
}

/// A user by name, where /etc/passwd has one.
fn user(id: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id.to_string()).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| id.to_string())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    fn fault(path: &Path) -> Fault {
        Diagnosis::of(&format!("ipc://{}", path.display())).fault
    }

    #[test]
    fn each_fault_of_a_socket_file_is_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert_eq!(fault(&path), Fault::Absent);
        assert_eq!(fault(&dir.path().join("no/such/folder")), Fault::Absent);
        let listener = UnixListener::bind(&path).unwrap();
        let me = Some(std::process::id());
        assert_eq!(fault(&path), Fault::Silent { pid: me, is_stopped: false });
        fs::remove_file(&path).unwrap();
        assert_eq!(fault(&path), Fault::Deleted { pid: me });
        drop(listener);
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(fault(&path), Fault::Stale);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(fault(&file), Fault::NotASocket { path: file.clone() });
        assert_eq!(fault(&file.join("below")), Fault::NotASocket { path: file });
        let other = dir.path().join("datagrams");
        let _datagrams = UnixDatagram::bind(&other).unwrap();
        assert_eq!(fault(&other), Fault::NotASocket { path: other });
    }

    #[test]
    fn each_fault_of_a_tcp_address_is_recognised() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        assert_eq!(Diagnosis::of(&address).fault, Fault::Unresponsive);
        drop(listener);
        assert_eq!(Diagnosis::of(&address).fault, Fault::Refused);
        let unknown = Diagnosis::of("tcp://no-such-host.invalid:5555");
        let Fault::UnknownHost { host, .. } = &unknown.fault else { panic!("{unknown}") };
        assert_eq!(host, "no-such-host.invalid");
    }

    #[test]
    fn only_a_daemon_that_can_be_started_has_the_advice_to_start_one() {
        let (folder, path) = (PathBuf::from("/f"), PathBuf::from("/f/s"));
        let text = |fault: Fault| Diagnosis { address: "ipc:///f/s".to_owned(), fault }.to_string();
        assert!(
            text(Fault::Absent)
                .contains("start a Rust node, which hosts it, or `cortex-discovery`")
        );
        for fault in [
            Fault::Silent { pid: Some(1), is_stopped: true },
            Fault::Silent { pid: None, is_stopped: false },
            Fault::Deleted { pid: None },
            Fault::Forbidden { path, owner: 0 },
            Fault::ReadOnly { folder: folder.clone() },
            Fault::Full { folder },
        ] {
            let text = text(fault);
            assert!(!text.contains("start one") && text.len() > 80, "{text}");
        }
    }

    #[test]
    fn the_advice_for_a_refused_port_names_an_address_of_its_kind() {
        for (address, expected) in [
            ("tcp://[::1]:5599", "--address tcp://[::]:5599`"),
            ("tcp://192.0.2.1:5599", "--address tcp://0.0.0.0:5599`"),
        ] {
            let found = Diagnosis { address: address.to_owned(), fault: Fault::Refused };
            assert!(found.advice().contains(expected), "{found}");
        }
    }

    #[test]
    fn a_loopback_address_of_another_machine_is_unreachable() {
        let far = "tcp://192.0.2.1:5555";
        for (daemon, publisher, is_unreachable) in [
            (far, "tcp://127.0.0.1:1", true),
            (far, "tcp://[::1]:1", true),
            (far, "tcp://192.0.2.7:1", false),
            ("tcp://robot.example:5555", "tcp://127.0.0.1:1", true),
            ("tcp://localhost:5555", "tcp://127.0.0.1:1", false),
            ("ipc:///s", "tcp://127.0.0.1:1", false),
            (far, "ipc:///s", false),
        ] {
            let found = unreachable_publisher(daemon, publisher);
            assert_eq!(found.is_some(), is_unreachable, "{daemon} {publisher}: {found:?}");
        }
    }
}
