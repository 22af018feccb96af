//! The file beside a daemon's socket that keeps its registrations for the next daemon.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::discovery::registry::snapshot;
use crate::discovery::registry::table::Entry;
use crate::log::ErrorChain;

/// Bytes of the longest file that is read.
const MAX_LEN: u64 = 64 << 20;

/// The file beside a socket.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    /// Written first, then renamed to `path`.
    fresh: PathBuf,
}

impl StateFile {
    /// The path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn beside(socket: &Path) -> Self {
        let with = |suffix: &str| {
            let mut path = socket.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        Self { path: with(".state"), fresh: with(".state.new") }
    }

    /// The registrations that an earlier daemon left; none, with a log line, where the file is unusable.
    pub(super) fn load(&self) -> Vec<(String, Entry)> {
        let bytes = match self.read() {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Vec::new(),
            Err(error) => {
                tracing::warn!(path = %self.path.display(), error = %ErrorChain(&error), "ignoring the kept registrations");
                return Vec::new();
            }
        };
        snapshot::decode(&bytes).unwrap_or_else(|| {
            let path = self.path.display();
            tracing::warn!(%path, "ignoring the kept registrations: the file is damaged");
            Vec::new()
        })
    }

    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        // Opening a pipe would wait for its writer.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(&self.path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let about = file.metadata()?;
        if !about.is_file() || about.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("not a file of this user"));
        }
        if about.len() > MAX_LEN {
            return Err(io::Error::other("longer than 64 MiB"));
        }
        let mut bytes = Vec::new();
        file.take(MAX_LEN).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Replaces the file in one step; `None` removes it.
    ///
    /// # Errors
    /// When the file system refuses.
    pub(super) fn save(&self, snapshot: Option<&[u8]>) -> io::Result<()> {
        remove(&self.fresh)?;
        let Some(bytes) = snapshot else { return remove(&self.path) };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.fresh)?;
        file.write_all(bytes)?;
        drop(file);
        fs::rename(&self.fresh, &self.path)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::discovery::registry::snapshot::tests::{encoded, entries};

    #[test]
    fn a_saved_snapshot_is_loaded_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::beside(&dir.path().join("s"));
        assert_eq!(file.load(), []);
        // Left by a process that was killed while writing.
        fs::write(&file.fresh, "half").unwrap();
        file.save(Some(&encoded())).unwrap();
        assert_eq!(file.load(), entries());
        let mode = fs::metadata(dir.path().join("s.state")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        file.save(None).unwrap();
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_pipe_in_place_of_the_file_is_ignored_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::beside(&dir.path().join("s"));
        let made = std::process::Command::new("mkfifo").arg(&file.path).status().unwrap();
        assert!(made.success());
        assert_eq!(file.load(), []);
        file.save(Some(&encoded())).unwrap();
        assert_eq!(file.load(), entries());
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = dir.path().join("elsewhere");
        fs::write(&elsewhere, encoded()).unwrap();
        let file = StateFile::beside(&dir.path().join("s"));
        std::os::unix::fs::symlink(&elsewhere, &file.path).unwrap();
        assert_eq!(file.load(), []);
        file.save(Some(b"x")).unwrap();
        assert_eq!(fs::read(&elsewhere).unwrap(), encoded());
    }
}
