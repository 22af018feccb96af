//! The Rust types that the items of an array can have.

use bytemuck::{CheckedBitPattern, NoUninit};

use crate::array::dtype::{ByteOrder, Dtype, DtypeKind};

mod sealed {
    #[expect(unnameable_types, reason = "the trait is sealed")]
    pub trait Sealed {}
}

/// A Rust type of an array's items.
///
/// Implemented for `bool`, the integers of 8 to 64 bits, `f32` and `f64`; with the feature `f16`
/// for `half::f16`, with `complex` for `num_complex::Complex<f32>` and `<f64>`.
pub trait Element: CheckedBitPattern + NoUninit + Send + Sync + sealed::Sealed + 'static {
    /// The dtype of a slice of these on this machine.
    const DTYPE: Dtype;

    /// Reads one item from its bytes, in the given order; `None` if `bytes` has another length than
    /// the item. For `bool` every byte but 0 is true.
    fn from_bytes(bytes: &[u8], order: ByteOrder) -> Option<Self>;
}

macro_rules! element {
    ($($ty:ty: $kind:ident, $len:literal;)*) => {$(
        impl sealed::Sealed for $ty {}

        impl Element for $ty {
            const DTYPE: Dtype = Dtype::native(DtypeKind::$kind, $len);

            #[inline]
            fn from_bytes(bytes: &[u8], order: ByteOrder) -> Option<Self> {
                let bytes = <[u8; $len]>::try_from(bytes).ok()?;
                Some(match order {
                    ByteOrder::Big => Self::from_be_bytes(bytes),
                    ByteOrder::Little | ByteOrder::None => Self::from_le_bytes(bytes),
                })
            }
        }
    )*};
}

element! {
    u8: UInt, 1;
    u16: UInt, 2;
    u32: UInt, 4;
    u64: UInt, 8;
    i8: Int, 1;
    i16: Int, 2;
    i32: Int, 4;
    i64: Int, 8;
    f32: Float, 4;
    f64: Float, 8;
}

#[cfg(feature = "f16")]
element! {
    half::f16: Float, 2;
}

impl sealed::Sealed for bool {}

impl Element for bool {
    const DTYPE: Dtype = Dtype::native(DtypeKind::Bool, 1);

    fn from_bytes(bytes: &[u8], _: ByteOrder) -> Option<Self> {
        match bytes {
            [byte] => Some(*byte != 0),
            _ => None,
        }
    }
}

#[cfg(feature = "complex")]
macro_rules! complex {
    ($($part:ty: $len:literal, $part_len:literal;)*) => {$(
        impl sealed::Sealed for num_complex::Complex<$part> {}

        impl Element for num_complex::Complex<$part> {
            const DTYPE: Dtype = Dtype::native(DtypeKind::Complex, $len);

            fn from_bytes(bytes: &[u8], order: ByteOrder) -> Option<Self> {
                let (re, im) = bytes.split_at_checked($part_len)?;
                Some(Self::new(
                    <$part>::from_bytes(re, order)?,
                    <$part>::from_bytes(im, order)?,
                ))
            }
        }
    )*};
}

#[cfg(feature = "complex")]
complex! {
    f32: 8, 4;
    f64: 16, 8;
}

impl Dtype {
    /// The dtype of `T` on this machine.
    #[must_use]
    pub const fn of<T: Element>() -> Self {
        T::DTYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_in_either_order() {
        assert_eq!(i16::from_bytes(&[1, 2], ByteOrder::Big), Some(0x0102));
        assert_eq!(i16::from_bytes(&[1, 2], ByteOrder::Little), Some(0x0201));
        assert_eq!(i16::from_bytes(&[1], ByteOrder::Little), None);
        assert_eq!(bool::from_bytes(&[7], ByteOrder::None), Some(true));
    }
}
