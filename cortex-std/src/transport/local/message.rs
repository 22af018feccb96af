//! A received message: slices of a read buffer, and large parts in memory of their own.

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
    bodies: SmallVec<[Loan; 2]>,
}

/// One part of a received message.
#[derive(Debug, Clone, Copy)]
enum LocalPart {
    /// Bytes of the message's slice of the read buffer.
    Slice { start: u32, len: u32 },
    /// The body of this index.
    Body(u32),
}

impl LocalParts {
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Appends a part of the read buffer.
    pub(super) fn push_slice(&mut self, start: u32, len: u32) {
        self.parts.push(LocalPart::Slice { start, len });
    }

    /// Appends a large part.
    pub(super) fn push_body(&mut self, body: Loan) {
        let index = u32::try_from(self.bodies.len()).unwrap_or(u32::MAX);
        self.parts.push(LocalPart::Body(index));
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

    /// The bytes of part `index`.
    pub(crate) fn part(&self, index: usize) -> Option<&[u8]> {
        match *self.parts.parts.get(index)? {
            LocalPart::Slice { start, len } => {
                let start = usize::try_from(start).ok()?;
                self.bytes.get(start..)?.get(..usize::try_from(len).ok()?)
            }
            LocalPart::Body(body) => Some(self.parts.bodies.get(usize::try_from(body).ok()?)?),
        }
    }
}

impl fmt::Debug for LocalMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalMessage").field("parts", &self.parts).finish_non_exhaustive()
    }
}
