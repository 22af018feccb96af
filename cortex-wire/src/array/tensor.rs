//! Arrays with PyTorch's device and gradient flag.

use crate::array::ArrayView;

/// A borrowed tensor: an array, the device that it came from and its gradient flag.
///
/// The data is always in ordinary memory; `device` says where a receiver may put it.
///
/// Source: wire reference, "Out-of-band descriptor".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TensorView<'a> {
    /// dtype, shape and data.
    pub array: ArrayView<'a>,
    /// PyTorch's name of the device: `cpu`, `cuda:0`.
    pub device: &'a str,
    /// Whether gradients are kept for it.
    pub requires_grad: bool,
}

impl<'a> TensorView<'a> {
    /// A tensor on the CPU without gradients.
    #[must_use]
    pub const fn cpu(array: ArrayView<'a>) -> Self {
        Self { array, device: "cpu", requires_grad: false }
    }
}
