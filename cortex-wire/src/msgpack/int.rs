//! Integers.

use core::fmt;

/// An integer of the wire: -2^63 to 2^64 - 1.
///
/// # Examples
///
/// ```
/// use cortex_wire::Int;
///
/// assert_eq!(Int::from(7_u8), Int::from(7_i64));
/// assert_eq!(u64::try_from(Int::from(u64::MAX)), Ok(u64::MAX));
/// assert!(u8::try_from(Int::from(-1)).is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Int {
    /// Two's complement; `negative` decides how the top bit is read.
    bits: u64,
    negative: bool,
}

impl Int {
    /// The nearest `f64`.
    #[must_use]
    pub const fn to_f64(self) -> f64 {
        if self.negative { self.bits.cast_signed() as f64 } else { self.bits as f64 }
    }
}

impl From<Int> for i128 {
    fn from(int: Int) -> Self {
        if int.negative { int.bits.cast_signed().into() } else { int.bits.into() }
    }
}

impl fmt::Debug for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative { self.bits.cast_signed().fmt(f) } else { self.bits.fmt(f) }
    }
}

/// The integer does not fit the requested type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct IntRangeError;

impl fmt::Display for IntRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("integer does not fit the type")
    }
}

impl core::error::Error for IntRangeError {}

impl From<u64> for Int {
    fn from(value: u64) -> Self {
        Self { bits: value, negative: false }
    }
}

impl From<i64> for Int {
    fn from(value: i64) -> Self {
        Self { bits: value.cast_unsigned(), negative: value < 0 }
    }
}

impl TryFrom<Int> for u64 {
    type Error = IntRangeError;

    fn try_from(int: Int) -> Result<Self, IntRangeError> {
        if int.negative { Err(IntRangeError) } else { Ok(int.bits) }
    }
}

impl TryFrom<Int> for i64 {
    type Error = IntRangeError;

    fn try_from(int: Int) -> Result<Self, IntRangeError> {
        if int.negative {
            Ok(int.bits.cast_signed())
        } else {
            Self::try_from(int.bits).map_err(|_| IntRangeError)
        }
    }
}

macro_rules! narrow {
    ($($narrow:ty as $wide:ty),*) => {$(
        impl From<$narrow> for Int {
            fn from(value: $narrow) -> Self {
                Self::from(<$wide>::from(value))
            }
        }

        impl TryFrom<Int> for $narrow {
            type Error = IntRangeError;

            fn try_from(int: Int) -> Result<Self, IntRangeError> {
                <$wide>::try_from(int)?.try_into().map_err(|_| IntRangeError)
            }
        }
    )*};
}

narrow!(u8 as u64, u16 as u64, u32 as u64, i8 as i64, i16 as i64, i32 as i64);

impl TryFrom<Int> for usize {
    type Error = IntRangeError;

    fn try_from(int: Int) -> Result<Self, IntRangeError> {
        u64::try_from(int)?.try_into().map_err(|_| IntRangeError)
    }
}

impl TryFrom<Int> for isize {
    type Error = IntRangeError;

    fn try_from(int: Int) -> Result<Self, IntRangeError> {
        i64::try_from(int)?.try_into().map_err(|_| IntRangeError)
    }
}

impl From<usize> for Int {
    fn from(value: usize) -> Self {
        // No target has a usize wider than 64 bits.
        Self { bits: value as u64, negative: false }
    }
}

impl From<isize> for Int {
    fn from(value: isize) -> Self {
        Self::from(value as i64)
    }
}
