//! Why an array is refused.

use core::fmt;

use crate::array::dtype::Dtype;
use crate::limits::MAX_DIMS;

/// Why an array cannot be made, or not be seen in the way asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ArrayError {
    /// More than [`MAX_DIMS`] dimensions.
    TooManyDimensions {
        /// Dimensions asked for.
        found: usize,
    },
    /// The product of the dimensions and the item size does not fit into `usize`.
    ShapeOverflow,
    /// The data has another length than shape and dtype give.
    Length {
        /// Bytes by shape and dtype.
        expected: usize,
        /// Bytes of the data.
        found: usize,
    },
    /// The items are of another kind or size.
    Dtype {
        /// The dtype asked for.
        expected: Dtype,
        /// The array's dtype.
        found: Dtype,
    },
    /// The items are in the other machine's byte order; [`ArrayView::iter`] reads them.
    ByteOrder,
    /// The data is not aligned for the type; [`ArrayView::iter`] reads it.
    Alignment {
        /// The alignment needed, in bytes.
        needed: usize,
    },
    /// A bit pattern that the type does not have: a `bool` other than 0 and 1.
    InvalidItem,
    /// Coordinates outside the shape, or another number of them.
    Index,
    /// Items that do not lie in memory in C order.
    NotContiguous,
}

impl fmt::Display for ArrayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyDimensions { found } => {
                write!(f, "{found} dimensions where {MAX_DIMS} are allowed")
            }
            Self::ShapeOverflow => f.write_str("shape gives more bytes than memory can hold"),
            Self::Length { expected, found } => {
                write!(f, "shape gives {expected} bytes, data has {found}")
            }
            Self::Dtype { expected, found } => {
                write!(f, "array is of dtype {found}, not {expected}")
            }
            Self::ByteOrder => f.write_str("array is in the other byte order"),
            Self::Alignment { needed } => {
                write!(f, "array is not aligned to {needed} bytes")
            }
            Self::InvalidItem => f.write_str("array holds a bit pattern that the type does not"),
            Self::Index => f.write_str("coordinates are outside the shape"),
            Self::NotContiguous => f.write_str("array is not contiguous in C order"),
        }
    }
}

impl core::error::Error for ArrayError {}
