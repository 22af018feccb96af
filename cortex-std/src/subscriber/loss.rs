//! Losses that a subscriber detects.

use crate::wire::Header;

/// A gap in the sequence numbers of a publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// What happened.
    pub kind: LossKind,
    /// The header of the first message after it.
    pub header: Header,
}

impl Loss {
    /// A loss, for tests of callbacks.
    #[must_use]
    pub const fn new(kind: LossKind, header: Header) -> Self {
        Self { kind, header }
    }
}

/// What a gap in the sequence numbers means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossKind {
    /// This number of messages is missing.
    Lost(u64),
    /// The publisher restarted, or another one replaced it: the number of missing messages is unknown.
    Restarted,
}

/// Is called for every loss.
pub(super) type LossCallback = Box<dyn FnMut(Loss) + Send>;
