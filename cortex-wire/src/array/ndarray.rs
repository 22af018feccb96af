//! Arrays from and to the `ndarray` crate.

use alloc::vec::Vec;

use ndarray::{ArrayView as NdView, CowArray, Dimension, IxDyn};

use crate::array::ArrayView;
use crate::array::element::Element;
use crate::array::error::ArrayError;
use crate::array::owned::OwnedArray;

impl<'a> ArrayView<'a> {
    /// The array as an `ndarray`: borrowed if it is aligned and in this machine's byte order, else
    /// copied.
    ///
    /// # Errors
    ///
    /// `Dtype` if the items have another kind or size.
    ///
    /// # Examples
    ///
    /// ```
    /// use cortex_wire::ArrayView;
    ///
    /// let view = ArrayView::new(">f4".parse()?, &[1, 2], &[0x3f, 0x80, 0, 0, 0x40, 0, 0, 0])?;
    /// assert_eq!(view.to_ndarray::<f32>()?.sum(), 3.0);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn to_ndarray<T: Element>(&self) -> Result<CowArray<'a, T, IxDyn>, ArrayError> {
        let shape = IxDyn(self.shape());
        let overflow = |_| ArrayError::ShapeOverflow;
        match self.as_slice::<T>() {
            Ok(items) => NdView::from_shape(shape, items).map(CowArray::from).map_err(overflow),
            Err(ArrayError::ByteOrder | ArrayError::Alignment { .. } | ArrayError::InvalidItem) => {
                ndarray::Array::from_shape_vec(shape, self.to_vec()?)
                    .map(CowArray::from)
                    .map_err(overflow)
            }
            Err(error) => Err(error),
        }
    }

    /// The items of an `ndarray`, without a copy.
    ///
    /// # Errors
    ///
    /// `NotContiguous` unless the items are contiguous in C order, `TooManyDimensions`.
    pub fn from_ndarray<T: Element, D: Dimension>(
        array: &'a NdView<'_, T, D>,
    ) -> Result<Self, ArrayError> {
        let items = array.as_slice().ok_or(ArrayError::NotContiguous)?;
        Self::from_slice(items, array.shape())
    }
}

impl OwnedArray {
    /// A copy of an `ndarray` of any layout, in C order.
    ///
    /// # Errors
    ///
    /// `TooManyDimensions`.
    pub fn from_ndarray<T: Element, D: Dimension>(
        array: &NdView<'_, T, D>,
    ) -> Result<Self, ArrayError> {
        let items: Vec<T> = array.iter().copied().collect();
        Self::from_slice(&items, array.shape())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis, Slice};

    #[test]
    fn contiguous_arrays_are_borrowed_and_others_copied() {
        let array = Array2::from_shape_fn((3, 4), |(row, column)| (row * 4 + column) as u16);
        let whole = array.view();
        let view = ArrayView::from_ndarray(&whole).unwrap();
        assert_eq!(view.data().as_ptr(), array.as_ptr().cast());
        let back = view.to_ndarray::<u16>().unwrap();
        assert!(back.is_view());
        assert_eq!(back, array.view().into_dyn());

        let columns = array.slice_axis(Axis(1), Slice::from(1..3));
        assert_eq!(ArrayView::from_ndarray(&columns), Err(ArrayError::NotContiguous));
        let copy = OwnedArray::from_ndarray(&columns).unwrap();
        assert!(copy.view().iter::<u16>().unwrap().eq([1, 2, 5, 6, 9, 10]));
    }

    #[test]
    fn unaligned_arrays_are_copied() {
        let bytes = [0_u8; 9];
        let start = usize::from(bytes.as_ptr().addr() % 4 == 0);
        let view = ArrayView::new(u32::DTYPE, &[2], &bytes[start..start + 8]).unwrap();
        assert!(!view.to_ndarray::<u32>().unwrap().is_view());
    }
}
