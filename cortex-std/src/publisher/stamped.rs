//! Publishing with a timestamp of the caller.

use std::fmt;
use std::sync::Arc;

use super::Publisher;
use crate::error::PublishError;
use crate::raw::outlet::Published;
use crate::wire::Message;

/// A publisher whose messages get a timestamp of the caller; see [`Publisher::at`].
pub struct Stamped<'p, M> {
    publisher: &'p Publisher<M>,
    timestamp_ns: u64,
}

impl<M: Message + 'static> Publisher<M> {
    /// This publisher with the header's timestamp set by the caller, such as the time at which a camera
    /// captured the picture.
    ///
    /// Units: nanoseconds since the Unix epoch. Subscribers measure
    /// [`Latency::receive`](crate::Latency::receive) from it, and it need not increase.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use cortex_std::{Publisher, wire::{ArrayView, ImageMessage}};
    /// # fn example(
    /// #     publisher: &Publisher<ImageMessage<'static>>, captured_ns: u64, pixels: Arc<Vec<u8>>,
    /// # ) -> cortex_std::Result<()> {
    /// publisher.at(captured_ns).try_publish_from(pixels, |pixels| {
    ///     Ok(ImageMessage::new(ArrayView::from_slice(pixels, &[480, 640])?, "mono8"))
    /// })?;
    /// # Ok(()) }
    /// ```
    #[must_use = "it publishes nothing by itself"]
    pub fn at(&self, timestamp_ns: u64) -> Stamped<'_, M> {
        Stamped { publisher: self, timestamp_ns }
    }

    /// As [`publish`](Self::publish), with a timestamp of the caller: [`at`](Self::at) in one call.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_at(
        &self,
        timestamp_ns: u64,
        message: &M::View<'_>,
    ) -> Result<Published, PublishError> {
        self.publish_stamped(Some(timestamp_ns), message)
    }
}

impl<M: Message + 'static> Stamped<'_, M> {
    /// As [`Publisher::publish`].
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`].
    pub fn publish(&self, message: &M::View<'_>) -> Result<Published, PublishError> {
        self.publisher.publish_stamped(Some(self.timestamp_ns), message)
    }

    /// As [`Publisher::publish_from`].
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`].
    pub fn publish_from<O: Send + Sync + 'static>(
        &self,
        owner: Arc<O>,
        borrow: impl for<'a> FnOnce(&'a O) -> M::View<'a>,
    ) -> Result<Published, PublishError> {
        self.try_publish_from(owner, |owner| Ok(borrow(owner)))
    }

    /// As [`Publisher::try_publish_from`].
    ///
    /// # Errors
    ///
    /// As [`Publisher::publish`], and those of the closure.
    pub fn try_publish_from<O: Send + Sync + 'static>(
        &self,
        owner: Arc<O>,
        borrow: impl for<'a> FnOnce(&'a O) -> Result<M::View<'a>, PublishError>,
    ) -> Result<Published, PublishError> {
        self.publisher.publish_borrowed(Some(self.timestamp_ns), owner, borrow)
    }
}

impl<M> fmt::Debug for Stamped<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamped")
            .field("publisher", self.publisher)
            .field("timestamp_ns", &self.timestamp_ns)
            .finish()
    }
}
