//! Checks of socket files: stale ones, permissions, and path lengths.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use cortex_std::discovery::Topic;
use cortex_std::inspect::{MAX_PATH_LEN, Probe, probe};
use rustix::fs::{FlockOperation, flock};

use super::daemon::process_or_unknown;
use super::finding::Finding;
use crate::listener::socket_path;

/// Bytes of a topic's socket path behind the folder, without node and topic: 64 bits in hex and the
/// extension.
const SUFFIX_LEN: usize = "/topics/-0123456789abcdef.sock".len();
/// Bytes that suffice for most names of node and topic.
const NAMES_LEN: usize = 40;

/// Checks the folder of the daemon's socket and the files in it; deletes stale ones if `fix` is set.
pub(super) fn check(discovery: &str, topics: Option<&[Topic]>, fix: bool) -> Vec<Finding> {
    let Some(folder) = socket_path(discovery).and_then(Path::parent) else { return Vec::new() };
    let mut findings = Vec::new();
    findings.extend(path_length(folder));
    let Ok(metadata) = fs::metadata(folder) else {
        let text = format!("the folder {} does not exist yet", folder.display());
        findings.push(Finding::ok("files", text));
        return findings;
    };
    findings.push(permissions(folder, &metadata));
    findings.extend(sockets(folder, topics, fix));
    findings
}

fn path_length(folder: &Path) -> Option<Finding> {
    let used = folder.as_os_str().len() + SUFFIX_LEN;
    let left = MAX_PATH_LEN.checked_sub(used);
    let text = |what: &str| format!("{} {what}", folder.display());
    let advice = "choose a shorter folder by --discovery or CORTEX_DISCOVERY";
    match left {
        None => Some(Finding::problem("paths", text("is too long for topic sockets"), advice)),
        Some(left) if left < NAMES_LEN => {
            let what =
                format!("leaves {left} bytes for names in socket paths: names are truncated");
            Some(Finding::warning("paths", text(&what), advice))
        }
        Some(_) => None,
    }
}

fn permissions(folder: &Path, metadata: &Metadata) -> Finding {
    let mode = metadata.mode() & 0o7777;
    let me = rustix::process::geteuid().as_raw();
    let text =
        format!("{} belongs to user {} with mode {mode:o}", folder.display(), metadata.uid());
    let is_mine = metadata.uid() == me || me == 0;
    if !is_mine && mode & 0o002 == 0 {
        let advice = "only that user can use the daemon in it; set CORTEX_DISCOVERY to a folder of this user";
        return Finding::problem("permissions", text, advice);
    }
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        let advice = format!(
            "other users can replace sockets; unless they share the graph: chmod 700 {}",
            folder.display()
        );
        return Finding::warning("permissions", text, &advice);
    }
    Finding::ok("permissions", text)
}

fn sockets(folder: &Path, topics: Option<&[Topic]>, fix: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut alive = 0;
    for (path, metadata) in socket_files(folder) {
        let shown = path.display();
        match probe(&path) {
            Probe::Alive { pid } => {
                alive += 1;
                findings.extend(unregistered(&path, pid, topics));
            }
            Probe::Refused if fix => findings.push(match remove_stale(&path, &metadata) {
                Ok(()) => Finding::fixed("files", format!("deleted stale socket file {shown}")),
                Err(reason) => Finding::problem(
                    "files",
                    format!("cannot delete stale socket file {shown}: {reason}"),
                    "delete it as its owner",
                ),
            }),
            Probe::Refused => {
                let advice = "its process died; the next process with this name replaces it, cortex doctor --fix deletes it";
                findings.push(Finding::warning("files", format!("{shown} is stale"), advice));
            }
            _ => {}
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("files", format!("{alive} socket(s), none stale")));
    }
    findings
}

/// A warning if a process listens at a topic's socket that is not registered at the daemon.
fn unregistered(path: &Path, pid: Option<u32>, topics: Option<&[Topic]>) -> Option<Finding> {
    let address = format!("ipc://{}", path.display());
    let is_topic = path.parent().and_then(Path::file_name).is_some_and(|name| name == "topics");
    if !is_topic || topics?.iter().any(|topic| topic.address == address) {
        return None;
    }
    let process = process_or_unknown(pid);
    let text = format!("{process} listens at {}, which is not registered", path.display());
    let advice = "its topic is registered by another node, it uses another daemon, or it is about to register";
    Some(Finding::warning("files", text, advice))
}

/// The socket files in the folder and in its subfolder `topics`.
fn socket_files(folder: &Path) -> Vec<(PathBuf, Metadata)> {
    let mut files: Vec<_> = [folder.to_owned(), folder.join("topics")]
        .iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|file| {
            let path = file.ok()?.path();
            let metadata = fs::symlink_metadata(&path).ok()?;
            metadata.file_type().is_socket().then_some((path, metadata))
        })
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

/// Deletes a stale socket file of this user, unless a process has bound the address meanwhile.
fn remove_stale(path: &Path, seen: &Metadata) -> Result<(), String> {
    let me = rustix::process::geteuid().as_raw();
    if seen.uid() != me {
        return Err(format!("it belongs to user {}", seen.uid()));
    }
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    // Held until the end: a process that takes the lock before it binds cannot bind in between.
    let lock = File::open(&lock_path).ok();
    if let Some(lock) = &lock {
        flock(lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| "another process holds its lock".to_owned())?;
    }
    let same = |now: &Metadata| {
        (now.dev(), now.ino(), now.ctime()) == (seen.dev(), seen.ino(), seen.ctime())
    };
    let is_same = fs::symlink_metadata(path).is_ok_and(|now| same(&now));
    if !is_same || probe(path) != Probe::Refused {
        return Err("it is in use now".to_owned());
    }
    fs::remove_file(path).map_err(|error| error.to_string())?;
    if lock.is_some() {
        let _ = fs::remove_file(&lock_path);
    }
    Ok(())
}
