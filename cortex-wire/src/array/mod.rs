//! Arrays outside the metadata: dtype, shape and borrowed bytes.

pub(crate) mod dtype;
pub(crate) mod element;
pub(crate) mod error;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(feature = "alloc")]
pub(crate) mod owned;
pub(crate) mod shape;
pub(crate) mod tensor;
pub(crate) mod typed;

use core::fmt;
use core::iter::FusedIterator;
use core::marker::PhantomData;

use crate::array::dtype::{ByteOrder, Dtype};
use crate::array::element::Element;
use crate::array::error::ArrayError;
use crate::array::shape::Shape;

/// A borrowed array: dtype, shape and bytes in C order.
///
/// The bytes can have any alignment and byte order, as received buffers do.
///
/// Shape: dimensions in items, C order; bytes = product × item length, which the constructor and
/// the decoder check.
///
/// # Examples
///
/// ```
/// use cortex_wire::ArrayView;
///
/// let pixels = [0_u8, 10, 20, 30, 40, 50];
/// let view = ArrayView::from_slice(&pixels, &[2, 3])?;
/// assert_eq!(view.dtype().as_text().as_str(), "|u1");
/// assert_eq!(view.get::<u8>(&[1, 2])?, 50);
///
/// // A big-endian array at any address:
/// let view = ArrayView::new(">i2".parse()?, &[2], &[0, 1, 0xff, 0xfe])?;
/// assert!(view.as_slice::<i16>().is_err());
/// assert!(view.iter::<i16>()?.eq([1, -2]));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
///
/// Source: wire reference, "Out-of-band descriptor".
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ArrayView<'a> {
    dtype: Dtype,
    shape: Shape,
    data: &'a [u8],
}

impl<'a> ArrayView<'a> {
    /// An array of any dtype over bytes in C order.
    ///
    /// # Errors
    ///
    /// `TooManyDimensions`, `ShapeOverflow`, or `Length` where `data` is not exactly as long as
    /// shape and dtype say.
    pub fn new(dtype: Dtype, shape: &[usize], data: &'a [u8]) -> Result<Self, ArrayError> {
        Self::with_shape(dtype, Shape::new(shape)?, data)
    }

    #[inline]
    pub(crate) fn with_shape(
        dtype: Dtype,
        shape: Shape,
        data: &'a [u8],
    ) -> Result<Self, ArrayError> {
        let expected = shape.byte_len(dtype).ok_or(ArrayError::ShapeOverflow)?;
        if data.len() != expected {
            return Err(ArrayError::Length { expected, found: data.len() });
        }
        Ok(Self { dtype, shape, data })
    }

    /// A view of parts whose lengths were checked before.
    pub(crate) const fn new_unchecked(dtype: Dtype, shape: Shape, data: &'a [u8]) -> Self {
        Self { dtype, shape, data }
    }

    #[cfg(feature = "alloc")]
    pub(crate) const fn shape_value(&self) -> Shape {
        self.shape
    }

    /// An array over a slice of items, in this machine's byte order.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn from_slice<T: Element>(items: &'a [T], shape: &[usize]) -> Result<Self, ArrayError> {
        // A cast to bytes cannot fail: items have no uninitialised bytes.
        let data = bytemuck::try_cast_slice(items).unwrap_or(&[]);
        Self::new(T::DTYPE, shape, data)
    }

    /// The type of the items.
    #[must_use]
    pub const fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The dimensions, in items, slowest first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.shape.as_slice()
    }

    /// The bytes of the items, in C order and the dtype's byte order.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The number of items.
    #[must_use]
    pub fn item_count(&self) -> usize {
        self.data.len().checked_div(self.dtype.item_len()).unwrap_or(0)
    }

    /// The items as a slice, without a copy.
    ///
    /// # Errors
    ///
    /// `Dtype`, `ByteOrder` or `Alignment`, whichever prevents it, and `InvalidItem` for a `bool`
    /// other than 0 and 1. [`Self::iter`] reads arrays of any byte order and alignment.
    pub fn as_slice<T: Element>(&self) -> Result<&'a [T], ArrayError> {
        self.check_items::<T>()?;
        if self.dtype.byte_order() != T::DTYPE.byte_order() {
            return Err(ArrayError::ByteOrder);
        }
        // An empty buffer may have any address.
        if self.data.is_empty() {
            return Ok(&[]);
        }
        bytemuck::checked::try_cast_slice(self.data).map_err(|error| match error {
            bytemuck::checked::CheckedCastError::InvalidBitPattern => ArrayError::InvalidItem,
            bytemuck::checked::CheckedCastError::PodCastError(_) => {
                ArrayError::Alignment { needed: align_of::<T>() }
            }
        })
    }

    /// An iterator over the items in C order, at any alignment and byte order.
    ///
    /// # Errors
    ///
    /// `Dtype` if the items have another kind or size.
    pub fn iter<T: Element>(&self) -> Result<Items<'a, T>, ArrayError> {
        self.check_items::<T>()?;
        Ok(Items { rest: self.data, order: self.dtype.byte_order(), item: PhantomData })
    }

    /// The item at the given coordinates, one for each dimension.
    ///
    /// # Errors
    ///
    /// `Dtype`, or `Index` if the coordinates are outside the shape.
    pub fn get<T: Element>(&self, index: &[usize]) -> Result<T, ArrayError> {
        self.check_items::<T>()?;
        if index.len() != self.shape().len() {
            return Err(ArrayError::Index);
        }
        let mut item = 0_usize;
        for (&at, &dim) in index.iter().zip(self.shape()) {
            if at >= dim {
                return Err(ArrayError::Index);
            }
            item = item
                .checked_mul(dim)
                .and_then(|item| item.checked_add(at))
                .ok_or(ArrayError::Index)?;
        }
        let start = item.checked_mul(size_of::<T>()).ok_or(ArrayError::Index)?;
        self.data
            .get(start..)
            .and_then(|rest| rest.get(..size_of::<T>()))
            .and_then(|bytes| T::from_bytes(bytes, self.dtype.byte_order()))
            .ok_or(ArrayError::Index)
    }

    fn check_items<T: Element>(&self) -> Result<(), ArrayError> {
        if self.dtype.same_items(&T::DTYPE) {
            Ok(())
        } else {
            Err(ArrayError::Dtype { expected: T::DTYPE, found: self.dtype })
        }
    }
}

impl fmt::Debug for ArrayView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArrayView({}, {:?})", self.dtype, self.shape)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for ArrayView<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "ArrayView({}, {})", self.dtype, self.shape);
    }
}

/// Iterator over the items of an array, in C order.
#[derive(Clone, Debug)]
pub struct Items<'a, T> {
    /// A whole number of items.
    rest: &'a [u8],
    order: ByteOrder,
    item: PhantomData<T>,
}

impl<T: Element> Iterator for Items<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let (item, rest) = self.rest.split_at_checked(size_of::<T>())?;
        self.rest = rest;
        T::from_bytes(item, self.order)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self.rest.len().checked_div(size_of::<T>()).unwrap_or(0);
        (count, Some(count))
    }

    fn nth(&mut self, n: usize) -> Option<T> {
        let skipped = n.saturating_mul(size_of::<T>());
        self.rest = self.rest.get(skipped..).unwrap_or(&[]);
        self.next()
    }
}

impl<T: Element> DoubleEndedIterator for Items<'_, T> {
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        let at = self.rest.len().checked_sub(size_of::<T>())?;
        let (rest, item) = self.rest.split_at_checked(at)?;
        self.rest = rest;
        T::from_bytes(item, self.order)
    }
}

impl<T: Element> ExactSizeIterator for Items<'_, T> {}
impl<T: Element> FusedIterator for Items<'_, T> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn view<'a>(dtype: &str, shape: &[usize], data: &'a [u8]) -> Result<ArrayView<'a>, ArrayError> {
        ArrayView::new(dtype.parse().unwrap(), shape, data)
    }

    #[test]
    fn length_must_be_product_times_item_len() {
        assert!(view("<f4", &[2, 3], &[0; 24]).is_ok());
        assert_eq!(
            view("<f4", &[2, 3], &[0; 23]),
            Err(ArrayError::Length { expected: 24, found: 23 })
        );
        assert!(view("<f4", &[], &[0; 4]).is_ok(), "no dimension means one item");
        assert!(view("<f4", &[3, 0], &[]).is_ok());
        assert!(view("<f4", &[usize::MAX, usize::MAX, 0], &[]).is_ok());
    }

    #[test]
    fn rejects_products_that_overflow() {
        assert_eq!(view("<f4", &[usize::MAX, 2], &[]), Err(ArrayError::ShapeOverflow));
        assert_eq!(view("<f8", &[usize::MAX / 4], &[]), Err(ArrayError::ShapeOverflow));
        assert_eq!(view("<f8", &[1; 9], &[0; 8]), Err(ArrayError::TooManyDimensions { found: 9 }));
    }

    #[test]
    fn unaligned_floats_are_read_item_by_item() {
        // At most one of four consecutive addresses is aligned.
        let mut bytes = [0_u8; 12];
        for start in 0..4 {
            let slot = &mut bytes[start..start + 8];
            slot[..4].copy_from_slice(&1.5_f32.to_le_bytes());
            slot[4..].copy_from_slice(&(-2.0_f32).to_le_bytes());
            let view = view("<f4", &[2], &bytes[start..start + 8]).unwrap();
            assert!(view.iter::<f32>().unwrap().eq([1.5, -2.0]));
            let aligned = bytes[start..].as_ptr().addr() % 4 == 0;
            if cfg!(target_endian = "little") {
                match view.as_slice::<f32>() {
                    Ok(items) => assert!(aligned && items == [1.5, -2.0]),
                    Err(error) => {
                        assert!(!aligned);
                        assert_eq!(error, ArrayError::Alignment { needed: 4 });
                    }
                }
            }
        }
    }

    #[test]
    fn as_slice_says_which_condition_failed() {
        let data = [0_u8, 1, 2, 3];
        let bytes = view("|u1", &[4], &data).unwrap();
        assert!(matches!(bytes.as_slice::<u16>(), Err(ArrayError::Dtype { .. })));
        assert!(matches!(bytes.as_slice::<i8>(), Err(ArrayError::Dtype { .. })));
        let foreign = if cfg!(target_endian = "big") { "<u2" } else { ">u2" };
        assert_eq!(
            view(foreign, &[2], &data).unwrap().as_slice::<u16>(),
            Err(ArrayError::ByteOrder)
        );
        let bools = view("|b1", &[4], &data).unwrap();
        assert_eq!(bools.as_slice::<bool>(), Err(ArrayError::InvalidItem));
        assert!(bools.iter::<bool>().unwrap().eq([false, true, true, true]));
    }

    #[test]
    fn coordinates_find_items_in_c_order() {
        let data = [0_u8, 1, 2, 3, 4, 5];
        let view = view("|u1", &[2, 3], &data).unwrap();
        assert_eq!(view.get::<u8>(&[1, 0]), Ok(3));
        assert_eq!(view.get::<u8>(&[2, 0]), Err(ArrayError::Index));
        assert_eq!(view.get::<u8>(&[0, 3]), Err(ArrayError::Index));
        assert_eq!(view.get::<u8>(&[0]), Err(ArrayError::Index));
    }
}
