//! The connections to a socket file, as the kernel lists them: for publishers that do not tell.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLMSG_ERROR`, `NLMSG_DONE`.
const FAILED: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `UDIAG_SHOW_NAME | UDIAG_SHOW_PEER`.
const SHOW: u32 = 1 | 4;
/// `UNIX_DIAG_NAME`, `UNIX_DIAG_PEER`.
const NAME: u16 = 0;
const PEER: u16 = 2;
/// Bytes of `nlmsghdr` and of `unix_diag_msg`.
const HEADER_LEN: usize = 16;
const BODY_LEN: usize = 16;
/// Bytes of one answer of the kernel.
const BUFFER_LEN: usize = 64 * 1024;

/// The processes that are connected to a socket that was bound to `path`, each once for each connection; those
/// of other users are missing unless this process may see them.
///
/// # Errors
/// When the kernel lists no unix sockets (`CONFIG_UNIX_DIAG`).
pub(crate) fn connected_processes(path: &Path) -> Result<Vec<u32>, Errno> {
    let inodes = peer_inodes(path.as_os_str().as_bytes())?;
    if inodes.is_empty() {
        return Ok(Vec::new());
    }
    let owners = owners(&inodes);
    Ok(inodes.iter().filter_map(|inode| owners.get(inode).copied()).collect())
}

/// The inodes of the sockets at the other ends of the connections that were accepted at a path.
fn peer_inodes(path: &[u8]) -> Result<BTreeSet<u32>, Errno> {
    let kind = SocketType::RAW;
    let flags = SocketFlags::CLOEXEC;
    let protocol = Some(netlink::SOCK_DIAG);
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, kind, flags, protocol)?;
    rustix::net::send(&socket, &request(), SendFlags::empty())?;
    let mut inodes = BTreeSet::new();
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        let (count, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        let answer = buffer.get(..count).unwrap_or_default();
        if count == 0 || !read_answer(answer, path, &mut inodes)? {
            return Ok(inodes);
        }
    }
}

/// A request for all unix sockets with their names and peers.
fn request() -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&40_u32.to_ne_bytes());
    bytes.extend_from_slice(&BY_FAMILY.to_ne_bytes());
    bytes.extend_from_slice(&DUMP.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    // AF_UNIX, in every state, any inode, no cookie.
    bytes.extend_from_slice(&[1, 0, 0, 0]);
    bytes.extend_from_slice(&u32::MAX.to_ne_bytes());
    bytes.extend_from_slice(&0_u32.to_ne_bytes());
    bytes.extend_from_slice(&SHOW.to_ne_bytes());
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

/// Reads the messages of one answer; false after the last one.
fn read_answer(mut bytes: &[u8], path: &[u8], inodes: &mut BTreeSet<u32>) -> Result<bool, Errno> {
    while let Some((message, kind, rest)) = message(bytes) {
        match kind {
            DONE => return Ok(false),
            FAILED => {
                let code = message.get(HEADER_LEN..).and_then(<[u8]>::first_chunk::<4>);
                let code = code.map_or(0, |code| i32::from_ne_bytes(*code));
                return if code == 0 { Ok(false) } else { Err(Errno::from_raw_os_error(-code)) };
            }
            BY_FAMILY => {
                let attributes = message.get(HEADER_LEN + BODY_LEN..).unwrap_or_default();
                inodes.extend(peer_at(attributes, path));
            }
            _ => {}
        }
        bytes = rest;
    }
    Ok(true)
}

/// The first message, its type, and the bytes behind it.
fn message(bytes: &[u8]) -> Option<(&[u8], u16, &[u8])> {
    let len = u32::from_ne_bytes(*bytes.first_chunk::<4>()?);
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk::<2>()?);
    let len = usize::try_from(len).ok().filter(|len| *len >= HEADER_LEN)?;
    let message = bytes.get(..len)?;
    Some((message, kind, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// The peer of a socket whose name is `path`.
fn peer_at(mut attributes: &[u8], path: &[u8]) -> Option<u32> {
    let (mut is_named, mut peer) = (false, None);
    while let Some(len) = attributes.first_chunk::<2>() {
        let len = usize::from(u16::from_ne_bytes(*len));
        let kind = u16::from_ne_bytes(*attributes.get(2..)?.first_chunk::<2>()?);
        let value = attributes.get(4..len)?;
        match kind {
            NAME => is_named = value.strip_suffix(b"\0").unwrap_or(value) == path,
            PEER => peer = value.first_chunk::<4>().map(|inode| u32::from_ne_bytes(*inode)),
            _ => {}
        }
        attributes = attributes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    peer.filter(|peer| is_named && *peer != 0)
}

/// The process of each socket, of those that this process may see.
fn owners(inodes: &BTreeSet<u32>) -> HashMap<u32, u32> {
    let mut owners = HashMap::new();
    let Ok(processes) = fs::read_dir("/proc") else { return owners };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for pid in pids {
        let pid: u32 = pid;
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for link in files.filter_map(|file| fs::read_link(file.ok()?.path()).ok()) {
            let inode =
                link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']'));
            if let Some(inode) = inode.and_then(|inode| inode.parse().ok())
                && inodes.contains(&inode)
            {
                owners.entry(inode).or_insert(pid);
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn every_accepted_connection_has_its_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        // A kernel without unix_diag.
        let Ok(none) = connected_processes(&path) else { return };
        assert_eq!(none, []);
        let _clients: Vec<_> = (0..3)
            .map(|_| {
                let client = UnixStream::connect(&path).unwrap();
                (client, listener.accept().unwrap())
            })
            .collect();
        assert_eq!(connected_processes(&path), Ok(vec![std::process::id(); 3]));
        assert_eq!(connected_processes(&dir.path().join("other")), Ok(Vec::new()));
    }

    #[test]
    fn a_cut_answer_is_read_as_far_as_it_goes() {
        let mut bytes = Vec::new();
        let name = b"/tmp/s\0";
        bytes.extend_from_slice(&52_u32.to_ne_bytes());
        bytes.extend_from_slice(&BY_FAMILY.to_ne_bytes());
        bytes.extend_from_slice(&[0; 10 + BODY_LEN]);
        bytes.extend_from_slice(&11_u16.to_ne_bytes());
        bytes.extend_from_slice(&NAME.to_ne_bytes());
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(&8_u16.to_ne_bytes());
        bytes.extend_from_slice(&PEER.to_ne_bytes());
        bytes.extend_from_slice(&77_u32.to_ne_bytes());
        for len in 0..=bytes.len() {
            let mut inodes = BTreeSet::new();
            assert_eq!(read_answer(&bytes[..len], b"/tmp/s", &mut inodes), Ok(true));
            assert_eq!(inodes.contains(&77), len == bytes.len());
        }
    }
}
