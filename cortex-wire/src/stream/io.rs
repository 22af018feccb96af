//! Reading and writing of a byte stream.

use embedded_io::{Read, Write};

use crate::stream::error::StreamError;

/// Writes all of `bytes`; unlike the trait's own, without a panic where nothing is taken.
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

/// Reads into `out` what there is, at least a byte.
pub(crate) fn read_some<'o, S: Read, P>(
    stream: &mut S,
    out: &'o mut [u8],
) -> Result<&'o [u8], StreamError<S::Error, P>> {
    match stream.read(out).map_err(StreamError::Io)? {
        0 => Err(StreamError::Ended),
        count => out.get(..count).ok_or(StreamError::Ended),
    }
}

/// Adds what there is room for; unlike the list's own, without an addition that could overflow.
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

/// As [`read_some`].
#[cfg(feature = "async")]
pub(crate) async fn read_some_async<'o, S: embedded_io_async::Read, P>(
    stream: &mut S,
    out: &'o mut [u8],
) -> Result<&'o [u8], StreamError<S::Error, P>> {
    match stream.read(out).await.map_err(StreamError::Io)? {
        0 => Err(StreamError::Ended),
        count => out.get(..count).ok_or(StreamError::Ended),
    }
}
