//! Arrays and tensors that own their data.

use alloc::string::String;
use alloc::vec::Vec;

use crate::array::ArrayView;
use crate::array::dtype::Dtype;
use crate::array::element::Element;
use crate::array::error::ArrayError;
use crate::array::shape::Shape;
use crate::array::tensor::TensorView;

/// An array that owns its data.
///
/// # Examples
///
/// ```
/// use cortex_wire::OwnedArray;
///
/// let array = OwnedArray::from_slice(&[1_u16, 2, 3, 4], &[2, 2])?;
/// assert_eq!(array.view().get::<u16>(&[1, 0])?, 3);
/// assert_eq!(array.view().to_vec::<u16>()?, [1, 2, 3, 4]);
/// # Ok::<(), cortex_wire::ArrayError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedArray {
    dtype: Dtype,
    shape: Shape,
    data: Vec<u8>,
}

impl OwnedArray {
    /// An array of any dtype over bytes in C order.
    ///
    /// # Errors
    ///
    /// As [`ArrayView::new`].
    pub fn new(dtype: Dtype, shape: &[usize], data: Vec<u8>) -> Result<Self, ArrayError> {
        ArrayView::new(dtype, shape, &data)?;
        Ok(Self { dtype, shape: Shape::new(shape)?, data })
    }

    /// A copy of a slice of items, in this machine's byte order.
    ///
    /// # Errors
    ///
    /// As [`ArrayView::new`].
    pub fn from_slice<T: Element>(items: &[T], shape: &[usize]) -> Result<Self, ArrayError> {
        ArrayView::from_slice(items, shape).map(Self::from)
    }

    /// The array, borrowed.
    #[must_use]
    pub fn view(&self) -> ArrayView<'_> {
        ArrayView::new_unchecked(self.dtype, self.shape, &self.data)
    }
}

impl ArrayView<'_> {
    /// A copy of the items, from any alignment and byte order.
    ///
    /// # Errors
    ///
    /// `Dtype` if the items have another kind or size.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, ArrayError> {
        self.iter().map(Iterator::collect)
    }
}

impl From<ArrayView<'_>> for OwnedArray {
    fn from(view: ArrayView<'_>) -> Self {
        Self { dtype: view.dtype(), shape: view.shape_value(), data: view.data().into() }
    }
}

/// A tensor that owns its data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct OwnedTensor {
    /// Dtype, shape and data.
    pub array: OwnedArray,
    /// PyTorch's name of the device: `cpu`, `cuda:0`.
    pub device: String,
    /// PyTorch's `requires_grad`: whether gradients are computed for it.
    pub requires_grad: bool,
}

impl OwnedTensor {
    /// The tensor, borrowed.
    #[must_use]
    pub fn view(&self) -> TensorView<'_> {
        TensorView {
            array: self.array.view(),
            device: &self.device,
            requires_grad: self.requires_grad,
        }
    }
}

impl From<TensorView<'_>> for OwnedTensor {
    fn from(view: TensorView<'_>) -> Self {
        Self {
            array: view.array.into(),
            device: view.device.into(),
            requires_grad: view.requires_grad,
        }
    }
}
