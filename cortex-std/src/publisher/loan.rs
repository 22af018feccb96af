//! Memory to fill in place.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Family, Published, Publisher};
use crate::error::PublishError;
use crate::socket::loan::Loan as Memory;
use crate::socket::owner::Held;
use crate::wire::{ArrayError, ArrayView, Element, Message};

/// Dimensions; an array has no more than eight.
type Shape = SmallVec<[usize; 8]>;

/// Memory for one array, to be filled in place and published without a copy.
pub struct Loan<'p, M, T> {
    publisher: &'p Publisher<M>,
    memory: Memory,
    shape: Shape,
    item: PhantomData<T>,
}

/// What a published loan's frames keep.
struct Filled {
    memory: Memory,
    shape: Shape,
}

impl<M: Message + 'static, T: Element + bytemuck::Pod> Loan<'_, M, T> {
    pub(super) fn new<'p>(
        publisher: &'p Publisher<M>,
        shape: &[usize],
    ) -> Result<Loan<'p, M, T>, PublishError> {
        let count = shape.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim));
        let len = count
            .and_then(|count| count.checked_mul(size_of::<T>()))
            .ok_or(ArrayError::ShapeOverflow)?;
        let memory = publisher.inner.loans.take(len)?;
        ArrayView::new(T::DTYPE, shape, &memory)?;
        Ok(Loan { publisher, memory, shape: shape.into(), item: PhantomData })
    }

    /// Publishes the message that `message` makes of the array.
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`].
    pub fn publish(
        self,
        message: impl for<'a> FnOnce(ArrayView<'a>) -> M::View<'a>,
    ) -> Result<Published, PublishError> {
        let filled = Arc::new(Filled { memory: self.memory, shape: self.shape });
        let held = Held::<Family<M>, Filled>::try_new(filled, |filled| {
            ArrayView::new(T::DTYPE, &filled.shape, &filled.memory).map(message)
        })?;
        self.publisher.publish_held(&held)
    }
}

impl<M, T: Element + bytemuck::Pod> std::ops::Deref for Loan<'_, M, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // A loan is aligned to 64 bytes and as long as its items, so the cast succeeds.
        bytemuck::try_cast_slice(&self.memory).unwrap_or(&[])
    }
}

impl<M, T: Element + bytemuck::Pod> std::ops::DerefMut for Loan<'_, M, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        bytemuck::try_cast_slice_mut(&mut self.memory).unwrap_or(&mut [])
    }
}

impl<M, T> fmt::Debug for Loan<'_, M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("shape", &self.shape).finish_non_exhaustive()
    }
}
