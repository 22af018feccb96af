//! The frames of a message, and where the bytes of its arrays are.

use core::fmt;

/// The frames of one message after its topic: header, metadata, buffers.
///
/// Implemented for arrays, slices (by reference), `heapless::Vec` and, with `alloc`, `Vec`, of
/// anything that is `AsRef<[u8]>`. A transport implements it for its received samples.
pub trait Frames: Sync {
    /// Frame `index`: 0 is the header, 1 the metadata, 2 the first buffer.
    fn frame(&self, index: usize) -> Option<&[u8]>;
}

impl<T: AsRef<[u8]> + Sync, const N: usize> Frames for [T; N] {
    fn frame(&self, index: usize) -> Option<&[u8]> {
        self.get(index).map(AsRef::as_ref)
    }
}

impl<T: AsRef<[u8]> + Sync> Frames for &[T] {
    fn frame(&self, index: usize) -> Option<&[u8]> {
        self.get(index).map(AsRef::as_ref)
    }
}

impl<T: AsRef<[u8]> + Sync, const N: usize> Frames for heapless::Vec<T, N> {
    fn frame(&self, index: usize) -> Option<&[u8]> {
        self.get(index).map(AsRef::as_ref)
    }
}

/// The place of the bytes of arrays.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// In frames; the first buffer is frame `first`.
    Frames { frames: &'a (dyn Frames + 'a), first: usize },
    /// In the MessagePack itself, as extensions.
    Inline,
}

/// Arrays may be copied out of a message up to this multiple of the length of its buffers.
const COPY_FACTOR: usize = 4;

/// Bytes that may be copied out of every message.
const COPY_MIN: usize = 64 << 10;

/// Limit of the bytes that are copied out of buffers, because many descriptors can name one buffer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CopyLimit {
    /// The limit and the bytes left; `None` before the first copy, when the default applies.
    bytes: Option<(usize, usize)>,
}

impl CopyLimit {
    pub(crate) const DEFAULT: Self = Self { bytes: None };

    pub(crate) const fn new(limit: usize) -> Self {
        Self { bytes: Some((limit, limit)) }
    }

    /// Counts a copy of `len` bytes; an error is the limit that it exceeds. Arrays in the metadata
    /// itself do not count: each is there once.
    pub(crate) fn take(&mut self, len: usize, source: Source<'_>) -> Result<(), usize> {
        let Source::Frames { frames, first } = source else { return Ok(()) };
        let (limit, left) = self.bytes.unwrap_or_else(|| {
            let buffers = (first..usize::MAX).map_while(|index| frames.frame(index));
            let total = buffers.fold(0_usize, |total, buffer| total.saturating_add(buffer.len()));
            let limit = total.saturating_mul(COPY_FACTOR).max(COPY_MIN);
            (limit, limit)
        });
        self.bytes = Some((limit, left.checked_sub(len).ok_or(limit)?));
        Ok(())
    }

    /// As [`take`](Self::take), for an array from anywhere and a limit that was set.
    #[cfg(feature = "alloc")]
    pub(crate) fn take_any(&mut self, len: usize) -> Result<(), usize> {
        if let Some((limit, left)) = &mut self.bytes {
            *left = left.checked_sub(len).ok_or(*limit)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frames { .. } => "Frames",
            Self::Inline => "Inline",
        })
    }
}
