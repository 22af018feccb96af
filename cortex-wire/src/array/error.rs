//! Errors of arrays.

use core::fmt;

use crate::array::dtype::Dtype;
use crate::limits::MAX_DIMS;

/// Why an array cannot be created, or cannot be read as the requested type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ArrayError {
    /// More than [`MAX_DIMS`] dimensions.
    TooManyDimensions {
        /// Requested number of dimensions.
        found: usize,
    },
    /// The product of the dimensions and the item size does not fit into `usize`.
    ShapeOverflow,
    /// The length of the data differs from that given by shape and dtype.
    Length {
        /// Bytes given by shape and dtype.
        expected: usize,
        /// Bytes of the data.
        found: usize,
    },
    /// The items have another kind or size.
    Dtype {
        /// The requested dtype.
        expected: Dtype,
        /// The array's dtype.
        found: Dtype,
    },
    /// The items are not in this machine's byte order; [`ArrayView::iter`](crate::ArrayView::iter) reads them.
    ByteOrder,
    /// The data is not aligned for the type; [`ArrayView::iter`](crate::ArrayView::iter) reads it.
    Alignment {
        /// The required alignment, in bytes.
        needed: usize,
    },
    /// A bit pattern that is invalid for the type: a `bool` other than 0 and 1.
    InvalidItem,
    /// Coordinates outside the shape, or not one for each dimension.
    Index,
    /// Items that are not contiguous in memory in C order.
    NotContiguous,
}

impl fmt::Display for ArrayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyDimensions { found } => {
                write!(f, "{found} dimensions, at most {MAX_DIMS} are supported")
            }
            Self::ShapeOverflow => f.write_str("size of the array overflows usize"),
            Self::Length { expected, found } => {
                write!(f, "shape and dtype need {expected} bytes, data has {found}")
            }
            Self::Dtype { expected, found } => {
                write!(f, "array has dtype {found}, expected {expected}")
            }
            Self::ByteOrder => f.write_str("array is not in native byte order"),
            Self::Alignment { needed } => {
                write!(f, "array is not aligned to {needed} bytes")
            }
            Self::InvalidItem => {
                f.write_str("array contains a bit pattern that is invalid for the type")
            }
            Self::Index => f.write_str("coordinates are outside the shape"),
            Self::NotContiguous => f.write_str("array is not contiguous in C order"),
        }
    }
}

impl core::error::Error for ArrayError {}
