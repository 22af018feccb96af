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

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frames { .. } => "Frames",
            Self::Inline => "Inline",
        })
    }
}
