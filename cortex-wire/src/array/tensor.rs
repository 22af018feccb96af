//! Arrays with PyTorch's device and gradient flag.

use crate::array::ArrayView;

/// A borrowed tensor: an array, the device of the sender's tensor, and its gradient flag.
///
/// The data is always in host memory; `device` names the device a receiver may copy it to.
///
/// Source: wire reference, "Out-of-band descriptor".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TensorView<'a> {
    /// Dtype, shape and data.
    pub array: ArrayView<'a>,
    /// PyTorch's name of the device: `cpu`, `cuda:0`.
    pub device: &'a str,
    /// PyTorch's `requires_grad`: whether gradients are computed for it.
    pub requires_grad: bool,
}

impl<'a> TensorView<'a> {
    /// A tensor on the CPU without gradients.
    #[must_use]
    pub const fn cpu(array: ArrayView<'a>) -> Self {
        Self { array, device: "cpu", requires_grad: false }
    }
}
