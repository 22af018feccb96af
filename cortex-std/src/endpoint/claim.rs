//! The socket files of ipc addresses: claiming a path, and probing it for a listener.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::{EndpointError, check_path_len, process};
use crate::log::ErrorChain;
use crate::transport::peer_process;

/// Mode of a socket file and its lock: only its user connects, unless the umask shares files.
const SOCKET_MODE: u32 = 0o600;

/// Mode of a folder that is created, unless the umask shares files.
const FOLDER_MODE: u32 = 0o700;

/// The state of an ipc path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Probe {
    /// A process listens; the one that bound the socket, where the kernel tells it.
    Alive {
        /// Its process id, in this process's namespace.
        pid: Option<u32>,
    },
    /// A stale socket file without a listener.
    Refused,
    /// No file.
    Absent,
    /// Undetermined: no permission, a full queue, or not a socket. It may be alive.
    Unknown,
}

/// Checks whether a process listens at `path`, without blocking.
///
/// The listener sees a connection that sends nothing and is closed.
pub fn probe(path: &Path) -> Probe {
    // A plain file refuses connections as well, and is not a stale socket.
    match fs::symlink_metadata(path) {
        Ok(file) if file.file_type().is_socket() => {}
        Ok(_) => return Probe::Unknown,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Probe::Absent,
        Err(_) => return Probe::Unknown,
    }
    match connect_to(path) {
        Ok(pid) => Probe::Alive { pid },
        Err(Errno::CONNREFUSED) => Probe::Refused,
        Err(Errno::NOENT) => Probe::Absent,
        Err(_) => Probe::Unknown,
    }
}

/// Connects to a unix socket and disconnects; returns the process that bound it, if it still exists.
///
/// # Errors
/// Those of the system: `AGAIN` where the queue of the listener is full.
pub(crate) fn connect_to(path: &Path) -> Result<Option<u32>, Errno> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &address)?;
    // A child may have inherited the socket from a process that ended.
    Ok(peer_process(socket.as_fd()).filter(|pid| process::is_running(*pid)))
}

/// The path of the lock of a socket file.
pub(crate) fn lock_path(path: &Path) -> PathBuf {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    PathBuf::from(lock)
}

/// The right to bind to an ipc path, held by one process at a time until dropped.
///
/// The lock is `flock` on `<path>.lock`, which contains the holder's pid for people to read. The kernel releases it with the
/// process, however that ends, so no manual clean-up is needed. Dropping deletes the socket file, if it is
/// the one of [`bound`](Self::bound), and then the lock file, while the lock is still held; [`claim`] locks
/// again when the file it locked is no longer the one at the path. So neither file stays behind, and there
/// are never two holders.
///
/// A process that does not use the lock, as Python's, binds regardless; its file is not deleted.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    lock_path: PathBuf,
    /// Locked as long as it is open.
    lock: File,
    socket: Option<FileId>,
}

/// The identity of a file, independent of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
    // Some file systems reuse inodes at once; the time differs then.
    modified_s: i64,
}

impl FileId {
    fn of(file: &fs::Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino(), modified_s: file.mtime() }
    }

    fn at(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().as_ref().map(Self::of)
    }
}

/// Claims `path` for a bind that follows: creates its folder, takes the lock, and removes the socket file
/// of a dead process, never one with a listener.
///
/// # Errors
/// `PathTooLong`; `AddressInUse` with the process that holds the lock or listens without it; `NotASocket`;
/// `File`.
pub(crate) fn claim(path: &Path) -> Result<Claim, EndpointError> {
    check_path_len(path)?;
    create_folder_of(path)?;
    let lock_path = lock_path(path);
    let lock = take_lock(path, &lock_path)?;
    let claim = Claim { path: path.to_owned(), lock_path, lock, socket: None };
    let in_use = |pid| EndpointError::AddressInUse { path: path.to_owned(), pid };
    match probe(path) {
        Probe::Absent => Ok(claim),
        Probe::Refused => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(EndpointError::file("remove the stale socket", path, error))
            }
            _ => Ok(claim),
        },
        Probe::Alive { pid } => Err(in_use(pid.or_else(|| process::socket_process(path)))),
        Probe::Unknown => match fs::symlink_metadata(path) {
            Ok(file) if !file.file_type().is_socket() => {
                Err(EndpointError::NotASocket { path: path.to_owned() })
            }
            Ok(_) => Err(in_use(process::socket_process(path))),
            Err(error) => Err(EndpointError::file("look at", path, error)),
        },
    }
}

/// Creates the folder of `path` and its parents for this user, and for those with whom the umask shares
/// files; existing ones stay as they are.
///
/// # Errors
/// `File`.
fn create_folder_of(path: &Path) -> Result<(), EndpointError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE | folder_bits(process::shared_permissions()))
        .create(folder)
        .map_err(|error| EndpointError::file("create the folder", folder, error))
}

/// The permissions of a folder for users with these permissions of its files.
fn folder_bits(shared: u32) -> u32 {
    shared | (shared >> 1) & 0o011
}

fn take_lock(path: &Path, lock_path: &Path) -> Result<File, EndpointError> {
    loop {
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(SOCKET_MODE | process::shared_permissions())
            .custom_flags(libc::O_NOFOLLOW)
            .open(lock_path)
            .map_err(|error| EndpointError::file("open the lock", lock_path, error))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::INTR) => continue,
            Err(Errno::WOULDBLOCK) => {
                return Err(EndpointError::AddressInUse {
                    path: path.to_owned(),
                    pid: process::lock_holder(lock_path).or_else(|| process::socket_process(path)),
                });
            }
            Err(errno) => return Err(EndpointError::file("lock", lock_path, errno)),
        }
        // The last holder may have deleted the file between open and lock.
        let inode = |file: fs::Metadata| (file.dev(), file.ino());
        let locked = lock
            .metadata()
            .map_err(|error| EndpointError::file("look at the lock", lock_path, error))?;
        if fs::symlink_metadata(lock_path).ok().map(inode) != Some(inode(locked)) {
            continue;
        }
        // The pid is informative only: the lock holds without it.
        let written = lock
            .set_len(0)
            .and_then(|()| lock.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(lock, "{}", std::process::id()));
        if let Err(error) = written {
            tracing::warn!(path = %lock_path.display(), error = %ErrorChain(&error), "cannot write the pid into the lock");
        }
        return Ok(lock);
    }
}

impl Claim {
    /// Records the new socket file and restricts it to this user and those with whom the umask shares files;
    /// to be called right after the bind.
    ///
    /// Between bind and this call the umask applies: with the usual 022 no other user connects, since that
    /// takes write permission.
    ///
    /// # Errors
    /// `File`; `NotASocket` when another file is there by now.
    pub(crate) fn bound(&mut self) -> Result<(), EndpointError> {
        let mode = SOCKET_MODE | process::shared_permissions();
        let look = |path: &Path| {
            fs::symlink_metadata(path).map_err(|error| EndpointError::file("look at", path, error))
        };
        // Checked first, because changing a mode follows a link.
        if !look(&self.path)?.file_type().is_socket() {
            return Err(EndpointError::NotASocket { path: self.path.clone() });
        }
        fs::set_permissions(&self.path, Permissions::from_mode(mode))
            .map_err(|error| EndpointError::file("restrict", &self.path, error))?;
        self.socket = Some(FileId::of(&look(&self.path)?));
        Ok(())
    }

    /// The path that is claimed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Locks again, after the lock file or its folder was deleted.
    ///
    /// # Errors
    /// `AddressInUse` when another process holds the lock by now; `File`.
    pub(crate) fn lock_again(&mut self) -> Result<(), EndpointError> {
        create_folder_of(&self.path)?;
        self.lock = take_lock(&self.path, &self.lock_path)?;
        Ok(())
    }

    /// Whether the file at the path is still the socket of [`bound`](Self::bound): neither deleted nor bound
    /// over.
    pub(crate) fn is_ours(&self) -> bool {
        self.socket.is_some() && FileId::at(&self.path) == self.socket
    }

    /// Whether the lock file still exists; without it another process could claim the path.
    pub(crate) fn is_locked(&self) -> bool {
        let inode = |file: fs::Metadata| (file.dev(), file.ino());
        let ours = self.lock.metadata().ok().map(inode);
        ours.is_some() && fs::symlink_metadata(&self.lock_path).ok().map(inode) == ours
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_ours() {
            let _ = fs::remove_file(&self.path);
        }
        // If this lock file was deleted, the one at the path belongs to another process.
        if self.is_locked() {
            let _ = fs::remove_file(&self.lock_path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::endpoint::MAX_PATH_LEN;

    fn names(dir: &Path) -> Vec<String> {
        let files = fs::read_dir(dir).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn paths_too_long_are_refused_early() {
        let dir = tempfile::tempdir().unwrap();
        let room = MAX_PATH_LEN - dir.path().as_os_str().len() - 1;
        let fits = dir.path().join("x".repeat(room));
        let long = dir.path().join("sub").join("x".repeat(room));
        assert!(claim(&fits).is_ok());
        UnixListener::bind(&fits).unwrap();
        let error = claim(&long).unwrap_err();
        assert!(matches!(error, EndpointError::PathTooLong { len: 111, .. }), "{error}");
        assert!(!dir.path().join("sub").exists());
    }

    #[test]
    fn a_probe_distinguishes_alive_stale_and_absent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert_eq!(probe(&path), Probe::Absent);
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(probe(&path), Probe::Alive { pid: Some(std::process::id()) });
        drop(listener);
        assert_eq!(probe(&path), Probe::Refused);
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(probe(&dir.path().join("file")), Probe::Unknown);
        assert_eq!(probe(&dir.path().join("file/below")), Probe::Unknown);
        assert_eq!(connect_to(Path::new(&"x".repeat(200))), Err(Errno::NAMETOOLONG));
    }

    #[test]
    fn a_busy_listener_is_not_declared_dead() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _listener = UnixListener::bind(&path).unwrap();
        let address = SocketAddrUnix::new(&path).unwrap();
        let mut waiting = Vec::new();
        loop {
            let socket =
                socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None);
            let socket =
                socket.expect("the queue of a listener is shorter than our limit of files");
            match connect(&socket, &address) {
                Ok(()) => waiting.push(socket),
                Err(errno) => {
                    assert_eq!(errno, Errno::AGAIN);
                    break;
                }
            }
        }
        assert_eq!(probe(&path), Probe::Unknown);
        assert!(matches!(claim(&path), Err(EndpointError::AddressInUse { .. })));
        assert!(path.exists());
    }

    #[test]
    fn a_live_path_is_not_stolen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        // By a process that does not use the lock.
        let listener = UnixListener::bind(&path).unwrap();
        let pid = std::process::id();
        match claim(&path) {
            Err(EndpointError::AddressInUse { pid: found, .. }) => assert_eq!(found, Some(pid)),
            other => panic!("{other:?}"),
        }
        drop(listener);
        // Stale now.
        let mut first = claim(&path).unwrap();
        assert!(!path.exists());
        // By a process that uses it.
        let error = claim(&path).unwrap_err();
        assert!(error.to_string().ends_with(&format!("is in use by process {pid}")));
        let _listener = UnixListener::bind(&path).unwrap();
        first.bound().unwrap();
        assert!(claim(&path).is_err());
        assert!(first.is_ours());
    }

    #[test]
    fn a_claim_leaves_no_file_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/s");
        let mut claimed = claim(&path).unwrap();
        let _listener = UnixListener::bind(&path).unwrap();
        claimed.bound().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&dir.path().join("a")), 0o700);
        assert_eq!(mode(&dir.path().join("a/b")), 0o700);
        drop(claimed);
        assert!(names(&dir.path().join("a/b")).is_empty());
    }

    #[test]
    fn the_socket_of_another_process_is_not_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut claimed = claim(&path).unwrap();
        let _ours = UnixListener::bind(&path).unwrap();
        claimed.bound().unwrap();
        // As libzmq does it: delete and bind. Ours is still open, so its inode is not used again.
        fs::remove_file(&path).unwrap();
        assert!(!claimed.is_ours());
        let _theirs = UnixListener::bind(&path).unwrap();
        assert!(!claimed.is_ours());
        drop(claimed);
        assert_eq!(names(dir.path()), ["s"]);
        assert_eq!(probe(&path), Probe::Alive { pid: Some(std::process::id()) });
    }

    #[test]
    fn a_file_that_is_not_a_socket_is_not_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(claim(&path), Err(EndpointError::NotASocket { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        let below = claim(&path.join("below")).unwrap_err();
        assert!(std::error::Error::source(&below).is_some(), "{below}");
    }

    #[test]
    fn a_stale_lock_file_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        fs::write(dir.path().join("s.lock"), "4000000000 and more than the pid that follows")
            .unwrap();
        let claimed = claim(&path).unwrap();
        let text = fs::read_to_string(dir.path().join("s.lock")).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
        drop(claimed);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn one_of_many_gets_the_claim() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let holders = AtomicU32::new(0);
        let served = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if let Ok(claimed) = claim(&path) {
                            assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                            served.fetch_add(1, Ordering::SeqCst);
                            holders.fetch_sub(1, Ordering::SeqCst);
                            drop(claimed);
                        }
                    }
                });
            }
        });
        assert!(served.into_inner() > 0);
        assert!(names(dir.path()).is_empty());
    }
}
