//! Socket files: those that nobody serves, who may use them, and how long their names can be.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use cortex_std::discovery::Topic;
use cortex_std::inspect::{MAX_PATH_LEN, Probe, probe};
use rustix::fs::{FlockOperation, flock};

use super::Finding;
use super::daemon::{process, socket_path};

/// What the names of a topic's socket end with: 64 bits in hex and the extension.
const TAIL_LEN: usize = "/topics/-0123456789abcdef.sock".len();
/// Bytes for node and topic that are enough for most names.
const NAMES_LEN: usize = 40;

/// Checks the folder of the daemon's socket and what is in it.
pub(crate) fn check(discovery: &str, topics: Option<&[Topic]>, is_to_fix: bool) -> Vec<Finding> {
    let Some(folder) = socket_path(discovery).and_then(Path::parent) else { return Vec::new() };
    let mut findings = Vec::new();
    findings.extend(length(folder));
    let Ok(metadata) = fs::metadata(folder) else {
        findings.push(Finding::ok("files", format!("there is no folder {} yet", folder.display())));
        return findings;
    };
    findings.push(permissions(folder, &metadata));
    findings.extend(sockets(folder, topics, is_to_fix));
    findings
}

fn length(folder: &Path) -> Option<Finding> {
    let used = folder.as_os_str().len() + TAIL_LEN;
    let room = MAX_PATH_LEN.checked_sub(used);
    let text = |what: &str| format!("{} {what}", folder.display());
    let advice = "choose a shorter folder by --discovery or CORTEX_DISCOVERY";
    match room {
        None => {
            Some(Finding::problem("paths", text("is too long for the sockets of topics"), advice))
        }
        Some(room) if room < NAMES_LEN => {
            let what = format!("leaves {room} bytes for names in paths of sockets: they are cut");
            Some(Finding::warning("paths", text(&what), advice))
        }
        Some(_) => None,
    }
}

fn permissions(folder: &Path, metadata: &Metadata) -> Finding {
    let mode = metadata.mode() & 0o7777;
    let me = rustix::process::geteuid().as_raw();
    let text = format!("{} is of user {} with mode {mode:o}", folder.display(), metadata.uid());
    let is_mine = metadata.uid() == me || me == 0;
    if !is_mine && mode & 0o002 == 0 {
        let advice = "its owner's daemon serves that user alone; choose a folder of your own by CORTEX_DISCOVERY";
        return Finding::problem("permissions", text, advice);
    }
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        let advice = format!("others may replace sockets: chmod 700 {}", folder.display());
        return Finding::warning("permissions", text, &advice);
    }
    Finding::ok("permissions", text)
}

fn sockets(folder: &Path, topics: Option<&[Topic]>, is_to_fix: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut served = 0;
    for (path, metadata) in socket_files(folder) {
        let shown = path.display();
        match probe(&path) {
            Probe::Alive { pid } => {
                served += 1;
                findings.extend(unregistered(&path, pid, topics));
            }
            Probe::Refused if is_to_fix => findings.push(match remove(&path, &metadata) {
                Ok(()) => Finding::fixed("files", format!("deleted {shown}, which nobody served")),
                Err(why) => Finding::problem(
                    "files",
                    format!("{shown} was not deleted: {why}"),
                    "delete it as its owner",
                ),
            }),
            Probe::Refused => {
                let advice = "its process died; the next one of that name replaces it, cortex doctor --fix deletes it";
                findings.push(Finding::warning("files", format!("nobody serves {shown}"), advice));
            }
            _ => {}
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("files", format!("{served} socket(s), all served")));
    }
    findings
}

/// Who listens in the folder of topics without being known to the daemon.
fn unregistered(path: &Path, pid: Option<u32>, topics: Option<&[Topic]>) -> Option<Finding> {
    let address = format!("ipc://{}", path.display());
    let is_topic = path.parent().and_then(Path::file_name).is_some_and(|name| name == "topics");
    if !is_topic || topics?.iter().any(|topic| topic.address == address) {
        return None;
    }
    let who = pid.map_or_else(|| "somebody".to_owned(), process);
    let text = format!("{who} serves {}, but no such topic is registered", path.display());
    let advice = "its topic is another node's, it has another daemon, or it is about to register";
    Some(Finding::warning("files", text, advice))
}

/// The sockets in the folder and in its folder of topics.
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

/// Deletes a socket file of this user that nobody serves; whoever claims its address meanwhile keeps
/// it.
fn remove(path: &Path, seen: &Metadata) -> Result<(), String> {
    let me = rustix::process::geteuid().as_raw();
    if seen.uid() != me {
        return Err(format!("it is of user {}", seen.uid()));
    }
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    // Held until the end, so that nobody who knows locks binds in between.
    let lock = File::open(&lock_path).ok();
    if let Some(lock) = &lock {
        flock(lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| "somebody is about to serve it".to_owned())?;
    }
    let same = |now: &Metadata| {
        (now.dev(), now.ino(), now.ctime()) == (seen.dev(), seen.ino(), seen.ctime())
    };
    let is_same = fs::symlink_metadata(path).is_ok_and(|now| same(&now));
    if !is_same || probe(path) != Probe::Refused {
        return Err("somebody serves it now".to_owned());
    }
    fs::remove_file(path).map_err(|error| error.to_string())?;
    if lock.is_some() {
        let _ = fs::remove_file(&lock_path);
    }
    Ok(())
}
