//! Processes, as the kernel tells them: a number in a file may come from another namespace, or belong to
//! another process by now.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether a process of this number exists in this namespace.
pub(crate) fn is_running(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Whether a process is stopped, by SIGSTOP, Ctrl-Z or a debugger.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state follows the name, which may contain anything.
    let state = stat.rsplit(')').next().and_then(|rest| rest.trim_start().chars().next());
    matches!(state, Some('T' | 't'))
}

/// The process that holds the `flock` of a file; `None` where there is none, or none of this namespace.
pub(crate) fn lock_holder(lock: &Path) -> Option<u32> {
    let file = fs::metadata(lock).ok()?;
    let device = file.dev();
    let device = (rustix::fs::major(device), rustix::fs::minor(device));
    // Reading takes several calls, between which other locks come and go, so that a line may be missing.
    (0..3).find_map(|_| find_lock(&fs::read_to_string("/proc/locks").ok()?, lock, device, &file))
}

fn find_lock(locks: &str, lock: &Path, device: (u32, u32), file: &fs::Metadata) -> Option<u32> {
    locks.lines().find_map(|line| {
        // 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
        let mut words = line.split_whitespace().skip(1);
        let is_flock = words.next() == Some("FLOCK");
        let pid: u32 = words.nth(2)?.parse().ok()?;
        let mut place = words.next()?.split(':');
        let mut hex = || u32::from_str_radix(place.next()?, 16).ok();
        let found = (hex()?, hex()?);
        let inode: u64 = place.next()?.parse().ok()?;
        // Some file systems show another device here than to `stat`.
        let is_meant =
            inode == file.ino() && (found == device || has_open(pid, lock.as_os_str().as_bytes()));
        (is_flock && is_meant && is_running(pid)).then_some(pid)
    })
}

/// A process in which a socket listens that was bound to `path`, also if the file was deleted since; `None`
/// where there is none, or none that this user may see.
pub(crate) fn socket_process(path: &Path) -> Option<u32> {
    let inode = listening_inode(path)?;
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.find_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        has_open(pid, socket.as_bytes()).then_some(pid)
    })
}

/// Whether a socket listens that was bound to `path`, also if the file was deleted since.
pub(crate) fn is_bound(path: &Path) -> bool {
    listening_inode(path).is_some()
}

/// The inode of the last socket that listens at a path.
fn listening_inode(path: &Path) -> Option<u64> {
    /// `__SO_ACCEPTCON`.
    const LISTENS: u32 = 1 << 16;
    let sockets = fs::read("/proc/net/unix").ok()?;
    // The last one: those before it were deleted.
    let mut lines = sockets.rsplit(|byte| *byte == b'\n');
    lines.find_map(|line| {
        // Num RefCount Protocol Flags Type St Inode Path
        let line = line.strip_suffix(path.as_os_str().as_bytes())?.strip_suffix(b" ")?;
        let mut words = std::str::from_utf8(line).ok()?.split_whitespace().skip(3);
        let flags = u32::from_str_radix(words.next()?, 16).ok()?;
        let inode = words.nth(2)?.parse().ok()?;
        (flags & LISTENS != 0).then_some(inode)
    })
}

/// Whether a process has a descriptor whose link is `target`.
fn has_open(pid: u32, target: &[u8]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut links = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    links.any(|link| link.as_os_str().as_bytes() == target)
}

/// The permissions of group and others that this process's umask leaves for what is shared: reading and
/// writing where it leaves writing, otherwise none.
///
/// The usual umask 022 shares nothing, 002 shares with the group, 000 with every user.
pub(crate) fn shared_permissions() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let umask = umask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok());
    permissions_of(umask.unwrap_or(0o077))
}

fn permissions_of(umask: u32) -> u32 {
    [0o020, 0o002].iter().filter(|write| umask & **write == 0).map(|write| write * 3).sum()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{FlockOperation, flock};

    use super::*;

    #[test]
    fn the_umask_decides_what_is_shared() {
        for (umask, shared) in
            [(0o022, 0), (0o077, 0), (0o027, 0), (0o002, 0o060), (0o007, 0o060), (0, 0o066)]
        {
            assert_eq!(permissions_of(umask), shared, "{umask:o}");
        }
    }

    #[test]
    fn the_kernel_tells_who_holds_a_lock_whatever_the_file_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.lock");
        fs::write(&path, "1\n").unwrap();
        assert_eq!(lock_holder(&path), None);
        let file = fs::File::open(&path).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        // Other tests lock and unlock meanwhile.
        while lock_holder(&path) != Some(std::process::id()) {
            std::thread::yield_now();
        }
        drop(file);
        assert_eq!(lock_holder(&path), None);
    }

    #[test]
    fn a_listener_is_found_after_its_file_was_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert!(!is_bound(&path));
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(socket_process(&path), Some(std::process::id()));
        fs::remove_file(&path).unwrap();
        assert!(is_bound(&path) && socket_process(&path) == Some(std::process::id()));
        drop(listener);
        assert!(!is_bound(&path));
    }
}
