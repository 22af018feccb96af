//! A received message: slices of a read buffer, and large parts in memory of their own.
//!
//! A message is moved several times on its way to the caller, so it is small.

use std::fmt;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::transport::loan::Loan;

/// The parts of a message while it is received.
#[derive(Debug, Default)]
pub(super) struct LocalParts {
    /// Topic, header, metadata and five arrays without an allocation.
    parts: SmallVec<[LocalPart; 8]>,
    /// Large parts, in aligned memory of a pool.
    bodies: SmallVec<[Loan; 1]>,
}

/// One part of a received message: bytes of its slice of the read buffer, or a body.
#[derive(Debug, Clone, Copy)]
struct LocalPart {
    /// Where the bytes start; [`BODY`] for a body.
    start: u32,
    /// The length, or the index of the body.
    len: u32,
}

/// Beyond the longest slice.
const BODY: u32 = u32::MAX;

impl LocalParts {
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Appends a part of the read buffer.
    pub(super) fn push_slice(&mut self, start: u32, len: u32) {
        self.parts.push(LocalPart { start, len });
    }

    /// Appends a large part.
    pub(super) fn push_body(&mut self, body: Loan) {
        let index = u32::try_from(self.bodies.len()).unwrap_or(u32::MAX);
        self.parts.push(LocalPart { start: BODY, len: index });
        self.bodies.push(body);
    }
}

/// A received message, which owns its bytes.
pub(crate) struct LocalMessage {
    /// The message as received, without its large parts.
    bytes: Bytes,
    parts: LocalParts,
}

impl LocalMessage {
    pub(super) fn new(bytes: Bytes, parts: LocalParts) -> Self {
        Self { bytes, parts }
    }

    /// The number of parts.
    pub(crate) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Bytes as received, with the headers of the parts.
    pub(super) fn received_len(&self) -> usize {
        let bodies = self.parts.bodies.iter().map(|body| body.len());
        bodies.fold(self.bytes.len(), usize::saturating_add)
    }

    /// The bytes of part `index`.
    #[inline]
    pub(crate) fn part(&self, index: usize) -> Option<&[u8]> {
        let LocalPart { start, len } = *self.parts.parts.get(index)?;
        let len = usize::try_from(len).ok()?;
        if start == BODY {
            return Some(self.parts.bodies.get(len)?);
        }
        self.bytes.get(usize::try_from(start).ok()?..)?.get(..len)
    }
}

impl fmt::Debug for LocalMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalMessage").field("parts", &self.parts).finish_non_exhaustive()
    }
}
