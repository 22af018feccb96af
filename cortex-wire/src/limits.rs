//! The limits of the format, and sizes that errors name.

/// Most dimensions an array can have.
pub const MAX_DIMS: usize = 8;

/// Deepest nesting of lists and maps, the list of fields included.
///
/// The walker keeps four bytes for each level.
pub const MAX_DEPTH: usize = 128;

/// Bytes of an encoded header.
pub(crate) const HEADER_LEN: usize = 24;
