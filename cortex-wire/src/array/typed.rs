//! Arrays whose item type is part of their Rust type.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

use crate::array::element::Element;
use crate::array::error::ArrayError;
use crate::array::{ArrayView, Items};

/// An array whose item type is part of the message's type; decoding rejects any other dtype.
///
/// Either byte order is accepted. Dereferences to [`ArrayView`].
///
/// # Examples
///
/// ```
/// use cortex_wire::TypedArray;
///
/// let position = TypedArray::from_slice(&[1.0_f64, 2.0, 3.0], &[3])?;
/// assert_eq!(position.items().sum::<f64>(), 6.0);
/// # Ok::<(), cortex_wire::ArrayError>(())
/// ```
pub struct TypedArray<'a, T> {
    view: ArrayView<'a>,
    item: PhantomData<T>,
}

impl<'a, T: Element> TypedArray<'a, T> {
    /// An array over a slice, in this machine's byte order.
    ///
    /// # Errors
    ///
    /// As [`ArrayView::new`].
    pub fn from_slice(items: &'a [T], shape: &[usize]) -> Result<Self, ArrayError> {
        ArrayView::from_slice(items, shape).and_then(Self::new)
    }

    /// The view as an array of `T`, in either byte order.
    ///
    /// # Errors
    ///
    /// `Dtype` if its items are not of type `T`.
    pub fn new(view: ArrayView<'a>) -> Result<Self, ArrayError> {
        view.check_items::<T>()?;
        Ok(Self { view, item: PhantomData })
    }

    /// The array without its item type.
    #[must_use]
    pub const fn view(&self) -> ArrayView<'a> {
        self.view
    }

    /// The items as a slice, without a copy.
    ///
    /// # Errors
    ///
    /// As [`ArrayView::as_slice`].
    pub fn as_slice(&self) -> Result<&'a [T], ArrayError> {
        self.view.as_slice()
    }

    /// An iterator over the items in C order, at any alignment and byte order.
    #[must_use]
    pub fn items(&self) -> Items<'a, T> {
        Items { rest: self.view.data, order: self.view.dtype.byte_order(), item: PhantomData }
    }

    /// A copy of the items, from any alignment and byte order.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn to_vec(&self) -> alloc::vec::Vec<T> {
        self.items().collect()
    }
}

impl<'a, T> Deref for TypedArray<'a, T> {
    type Target = ArrayView<'a>;

    fn deref(&self) -> &ArrayView<'a> {
        &self.view
    }
}

impl<T> Clone for TypedArray<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for TypedArray<'_, T> {}

impl<T> PartialEq for TypedArray<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        self.view == other.view
    }
}

/// Item type, shape and first items: `TypedArray<f64>([3], [0.1, 0.2, 0.3])`.
impl<T: Element + fmt::Debug> fmt::Debug for TypedArray<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        write!(f, "TypedArray<{}>({:?}, ", core::any::type_name::<T>(), self.view.shape)?;
        let mut list = f.debug_list();
        list.entries(self.items().take(SHOWN));
        match self.items().nth(SHOWN) {
            Some(_) => list.finish_non_exhaustive()?,
            None => list.finish()?,
        }
        f.write_str(")")
    }
}

#[cfg(feature = "defmt")]
impl<T> defmt::Format for TypedArray<'_, T> {
    fn format(&self, f: defmt::Formatter<'_>) {
        self.view.format(f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_either_byte_order_and_rejects_another_dtype() {
        let data = [0x3f, 0xf8, 0, 0, 0, 0, 0, 0];
        let big = ArrayView::new(">f8".parse().unwrap(), &[1], &data).unwrap();
        let typed = TypedArray::<f64>::new(big).unwrap();
        assert!(typed.items().eq([1.5]));
        #[cfg(feature = "alloc")]
        assert_eq!(typed.to_vec(), [1.5]);
        assert!(TypedArray::<f32>::new(big).is_err());
    }

    #[test]
    fn the_debug_form_has_the_item_type_the_shape_and_the_first_items() {
        let array = TypedArray::from_slice(&[0.5_f64, 1.0], &[1, 2]).unwrap();
        assert_eq!(std::format!("{array:?}"), "TypedArray<f64>([1, 2], [0.5, 1.0])");
        let array = TypedArray::from_slice(&[7_u8; 9], &[9]).unwrap();
        assert_eq!(std::format!("{array:?}"), "TypedArray<u8>([9], [7, 7, 7, 7, 7, 7, 7, 7, ..])");
    }
}
