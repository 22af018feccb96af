//! The content of a list or map as received.

use crate::coding::frames::Source;
use crate::msgpack::read::Reader;

/// The items of a list or map as received; they were checked when they were decoded.
#[derive(Clone, Copy)]
pub(crate) struct WireItems<'a> {
    /// At the first item.
    pub(crate) reader: Reader<'a>,
    /// Number of items of a list, or of pairs of a map.
    pub(crate) count: u32,
    pub(crate) source: Source<'a>,
}

impl WireItems<'_> {
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }
}
