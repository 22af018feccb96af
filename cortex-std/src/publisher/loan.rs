//! Memory to fill in place.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Family, Publisher};
use crate::error::PublishError;
use crate::raw::outlet::Published;
use crate::transport::{Loan as Memory, OwnedView};
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

/// What the frames of a published loan keep alive.
struct Filled {
    memory: Memory,
    shape: Shape,
}

impl<M: Message + 'static> Publisher<M> {
    /// Lends memory for an array, to be filled in place and published without a copy.
    ///
    /// Shape: dimensions in items, C order. The items are zero, or what an earlier loan left there.
    ///
    /// # Errors
    ///
    /// When the array does not fit into memory.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use cortex_std::wire::ImageMessage;
    /// # fn example(
    /// #     publisher: &cortex_std::Publisher<ImageMessage<'static>>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut pixels = publisher.loan::<u8>(&[480, 640, 3])?;
    /// pixels.fill(127);
    /// pixels.publish(|array| ImageMessage::new(array, "rgb8"))?;
    /// # Ok(()) }
    /// ```
    pub fn loan<T: Element + bytemuck::Pod>(
        &self,
        shape: &[usize],
    ) -> Result<Loan<'_, M, T>, PublishError> {
        Loan::new(self, shape)
    }
}

impl<M: Message + 'static, T: Element + bytemuck::Pod> Loan<'_, M, T> {
    fn new<'p>(
        publisher: &'p Publisher<M>,
        shape: &[usize],
    ) -> Result<Loan<'p, M, T>, PublishError> {
        let count = shape.iter().try_fold(1_usize, |count, &dim| count.checked_mul(dim));
        let len = count
            .and_then(|count| count.checked_mul(size_of::<T>()))
            .ok_or(ArrayError::ShapeOverflow)?;
        let loans = &publisher.inner.loans;
        let memory = match loans.take_unused(len) {
            Some(memory) => memory,
            None => {
                publisher.inner.outlet.collect_returns();
                loans.take(len)?
            }
        };
        ArrayView::new(T::DTYPE, shape, &memory)?;
        Ok(Loan { publisher, memory, shape: shape.into(), item: PhantomData })
    }

    /// Publishes the message that the closure makes of the array.
    ///
    /// The caller's thread takes as long as for [`Publisher::publish_from`].
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`].
    pub fn publish(
        self,
        message: impl for<'a> FnOnce(ArrayView<'a>) -> M::View<'a>,
    ) -> Result<Published, PublishError> {
        self.publish_stamped(None, message)
    }

    /// As [`publish`](Self::publish), with a timestamp of the caller as [`Publisher::at`] sets it.
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`].
    pub fn publish_at(
        self,
        timestamp_ns: u64,
        message: impl for<'a> FnOnce(ArrayView<'a>) -> M::View<'a>,
    ) -> Result<Published, PublishError> {
        self.publish_stamped(Some(timestamp_ns), message)
    }

    fn publish_stamped(
        self,
        timestamp_ns: Option<u64>,
        message: impl for<'a> FnOnce(ArrayView<'a>) -> M::View<'a>,
    ) -> Result<Published, PublishError> {
        let filled = Arc::new(Filled { memory: self.memory, shape: self.shape });
        let owned = OwnedView::<Family<M>, Filled>::try_new(filled, |filled| {
            ArrayView::new(T::DTYPE, &filled.shape, &filled.memory).map(message)
        })?;
        self.publisher.publish_owned(timestamp_ns, &owned)
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
