//! The dimensions of an array.

use core::fmt;
use core::ops::Deref;

use crate::array::dtype::Dtype;
use crate::array::error::ArrayError;
use crate::limits::MAX_DIMS;

/// The dimensions of an array, in items, slowest first.
#[derive(Clone, Copy)]
pub struct Shape {
    dims: [usize; MAX_DIMS],
    // As wide as a dimension: a struct without padding is copied in few large moves.
    count: usize,
}

impl Shape {
    /// A shape of the given dimensions; no dimension means a single item.
    ///
    /// # Errors
    ///
    /// [`ArrayError::TooManyDimensions`] above [`MAX_DIMS`].
    pub fn new(dims: &[usize]) -> Result<Self, ArrayError> {
        let mut shape = Self { dims: [0; MAX_DIMS], count: 0 };
        for &dim in dims {
            shape.push(dim).ok_or(ArrayError::TooManyDimensions { found: dims.len() })?;
        }
        Ok(shape)
    }

    /// A shape without dimensions.
    #[inline]
    pub(crate) const fn scalar() -> Self {
        Self { dims: [0; MAX_DIMS], count: 0 }
    }

    /// Appends the fastest dimension; `None` if there are [`MAX_DIMS`] already.
    #[inline]
    pub(crate) fn push(&mut self, dim: usize) -> Option<()> {
        *self.dims.get_mut(self.count)? = dim;
        self.count = self.count.saturating_add(1);
        Some(())
    }

    /// The dimensions.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[usize] {
        self.dims.get(..self.count).unwrap_or(&self.dims)
    }

    /// The number of items, or `None` if it does not fit into `usize`.
    #[must_use]
    #[inline]
    pub fn item_count(&self) -> Option<usize> {
        let product = |count: usize, &dim: &usize| count.checked_mul(dim);
        match self.as_slice().iter().try_fold(1, product) {
            // A dimension of zero makes the array empty, even if the others overflow.
            None if self.as_slice().contains(&0) => Some(0),
            count => count,
        }
    }
}

impl Shape {
    /// The length of the data in bytes, or `None` if it does not fit into `usize`.
    #[inline(always)]
    pub(crate) fn byte_len(&self, dtype: Dtype) -> Option<usize> {
        self.item_count()?.checked_mul(dtype.item_len())
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        self.as_slice()
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Shape {}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Shape {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=[?]}", self.as_slice());
    }
}
