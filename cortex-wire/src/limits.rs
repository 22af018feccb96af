//! Limits of the format, and sizes in error texts.

/// Maximum number of dimensions of an array.
pub const MAX_DIMS: usize = 8;

/// Maximum nesting of lists and maps, including the list of fields.
///
/// A walk needs four bytes for each level.
pub const MAX_DEPTH: usize = 128;

/// Bytes of an encoded header.
pub(crate) const HEADER_LEN: usize = 24;
