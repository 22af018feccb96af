//! The longest metadata of a type, computed by the compiler.

use crate::coding::encode::Field;
use crate::types::Type;

/// Bytes of `len` bytes of text or bytes, or of a list's items, and the longest head before them.
pub(crate) const fn with_head(len: usize) -> Option<usize> {
    let head = match len {
        0..=15 => 2,
        16..=255 => 3,
        256..=65_535 => 3,
        _ => 5,
    };
    len.checked_add(head)
}

/// Bytes of `count` values in a list, or in bytes for `u8`.
pub(crate) const fn of_slice<T: Field>(count: usize) -> Option<usize> {
    let Some(item) = T::MAX_LEN else { return None };
    let is_bytes = matches!(T::SLICE_TYPE, Type::Bytes);
    let Some(items) = count.checked_mul(if is_bytes { 1 } else { item }) else { return None };
    match with_head(count) {
        Some(with_head) => with_head.saturating_sub(count).checked_add(items),
        None => None,
    }
}

/// Bytes of a list of fields of these lengths; for `#[derive(Message)]`.
#[doc(hidden)]
#[must_use]
pub const fn fields(lens: &[Option<usize>]) -> Option<usize> {
    let Some(mut sum) = with_head(lens.len()) else { return None };
    sum = sum.saturating_sub(lens.len());
    let mut rest = lens;
    while let Some((first, others)) = rest.split_first() {
        let Some(len) = *first else { return None };
        sum = sum.saturating_add(len);
        rest = others;
    }
    Some(sum)
}
