//! Reading from and writing to byte streams.

use core::ops::Range;

use embedded_io::{Read, ReadReady, Write};

use crate::stream::error::StreamError;

/// Writes all of `bytes`. Unlike the trait's method, it does not panic if a write takes no bytes.
pub(crate) fn write_all<S: Write, P>(
    stream: &mut S,
    mut bytes: &[u8],
) -> Result<(), StreamError<S::Error, P>> {
    while !bytes.is_empty() {
        let count = stream.write(bytes).map_err(StreamError::Io)?;
        bytes = match bytes.get(count..) {
            Some(rest) if count > 0 => rest,
            _ => return Err(StreamError::Ended),
        };
    }
    Ok(())
}

/// Appends the bytes that fit. Unlike the list's method, it has no addition that could overflow.
pub(crate) fn append<const N: usize>(list: &mut heapless::Vec<u8, N>, bytes: &[u8]) {
    for &byte in bytes {
        let _ = list.push(byte);
    }
}

/// As [`write_all`].
#[cfg(feature = "async")]
pub(crate) async fn write_all_async<S: embedded_io_async::Write, P>(
    stream: &mut S,
    mut bytes: &[u8],
) -> Result<(), StreamError<S::Error, P>> {
    while !bytes.is_empty() {
        let count = stream.write(bytes).await.map_err(StreamError::Io)?;
        bytes = match bytes.get(count..) {
            Some(rest) if count > 0 => rest,
            _ => return Err(StreamError::Ended),
        };
    }
    Ok(())
}

/// Maximum number of bytes in a read.
const CHUNK_LEN: usize = 64;

/// The bytes of the last read, and the part of them that was not processed yet.
#[derive(Debug)]
pub(crate) struct Chunk {
    bytes: [u8; CHUNK_LEN],
    rest: Range<usize>,
}

impl Chunk {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; CHUNK_LEN], rest: 0..0 }
    }

    /// The bytes that were not processed yet.
    pub(crate) fn rest(&self) -> &[u8] {
        self.bytes.get(self.rest.clone()).unwrap_or_default()
    }

    /// Marks all but the last `left` bytes as processed.
    pub(crate) const fn keep(&mut self, left: usize) {
        self.rest.start = self.rest.end.saturating_sub(left);
    }

    /// Reads at least one byte, unless bytes are left.
    pub(crate) fn fill<S: Read, P>(
        &mut self,
        stream: &mut S,
    ) -> Result<(), StreamError<S::Error, P>> {
        if self.rest.is_empty() {
            let count = stream.read(&mut self.bytes).map_err(StreamError::Io)?;
            return self.filled(count);
        }
        Ok(())
    }

    /// Whether [`Self::fill`] returns without waiting.
    pub(crate) fn is_ready<S: ReadReady, P>(
        &self,
        stream: &mut S,
    ) -> Result<bool, StreamError<S::Error, P>> {
        if self.rest.is_empty() { stream.read_ready().map_err(StreamError::Io) } else { Ok(true) }
    }

    /// As [`Self::fill`].
    #[cfg(feature = "async")]
    pub(crate) async fn fill_async<S: embedded_io_async::Read, P>(
        &mut self,
        stream: &mut S,
    ) -> Result<(), StreamError<S::Error, P>> {
        if self.rest.is_empty() {
            let count = stream.read(&mut self.bytes).await.map_err(StreamError::Io)?;
            return self.filled(count);
        }
        Ok(())
    }

    /// Accepts the `count` bytes of a read; a read of no bytes is the end of the stream.
    fn filled<E, P>(&mut self, count: usize) -> Result<(), StreamError<E, P>> {
        if count == 0 || count > self.bytes.len() {
            return Err(StreamError::Ended);
        }
        self.rest = 0..count;
        Ok(())
    }
}
