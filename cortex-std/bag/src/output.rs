//! Where a bag is written to.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A place that a bag is written to, such as a file.
pub trait Output: Write + Send {
    /// Removes all bytes after the first `len`; later ones are written from there. Called once writing has
    /// failed.
    ///
    /// # Errors
    ///
    /// When the place refuses.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Waits until the bytes are on the disk.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    fn sync(&mut self) -> io::Result<()>;
}

impl Output for File {
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)?;
        self.seek(SeekFrom::Start(len))?;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Output for Vec<u8> {
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        Self::truncate(self, usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output that counts the bytes written.
#[derive(Debug)]
pub(crate) struct Counted<W> {
    pub(crate) output: W,
    pub(crate) written: Arc<AtomicU64>,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.output.write(bytes)?;
        self.written.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
