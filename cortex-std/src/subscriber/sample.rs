//! A received message with its frames.

use std::fmt;
use std::marker::PhantomData;

use crate::transport::Multipart;
use crate::wire::{DecodeError, Frames, Header, Message, decode_ignoring_fingerprint};

/// A message that passed every check but the decoding of its fields.
pub(super) struct Received {
    pub(super) multipart: Multipart,
    pub(super) header: Header,
}

/// A received message with its frames.
///
/// It may be kept and sent to other threads; the message borrows from it.
///
/// It is not `Clone`: receiving allocates nothing, so no frame has a count of owners. An `Arc` shares a
/// sample, with one allocation and without a copy of its arrays:
///
/// ```no_run
/// # use std::sync::{Arc, mpsc};
/// # use cortex_std::{Node, Sample, wire::ImageMessage};
/// # fn example(node: &Node) -> cortex_std::Result<()> {
/// # let (detector, _detected) = mpsc::channel();
/// # let (recorder, _recorded) = mpsc::channel();
/// # #[cfg(feature = "tokio")]
/// node.subscriber::<ImageMessage>("/cam/frame").on_sample(async move |sample| {
///     let sample = Arc::new(sample);
///     detector.send(Arc::clone(&sample)).map_err(cortex_std::Error::other)?;
///     recorder.send(sample).map_err(cortex_std::Error::other)
/// })?;
/// # Ok(()) }
/// ```
///
/// # Examples
///
/// ```
/// # use cortex_std::{Sample, wire::{ImageMessage, DecodeError}};
/// fn brightest(sample: &Sample<ImageMessage<'static>>) -> Result<Option<u8>, DecodeError> {
///     let image = sample.message()?;
///     Ok(image.data.data().iter().copied().max())
/// }
/// ```
pub struct Sample<M> {
    multipart: Multipart,
    header: Header,
    message: PhantomData<fn() -> M>,
}

impl<M: Message + 'static> Sample<M> {
    pub(super) fn new(received: Received) -> Self {
        let Received { multipart, header } = received;
        Self { multipart, header, message: PhantomData }
    }

    /// The message, borrowing from this sample.
    ///
    /// # Errors
    ///
    /// None for a sample of a [`Subscriber`](crate::Subscriber), which has decoded it once to check it.
    pub fn message(&self) -> Result<M::View<'_>, DecodeError> {
        // The receiver has checked the fingerprint, unless it ignores it.
        decode_ignoring_fingerprint::<M>(self)
    }
}

impl<M> Sample<M> {
    /// The header: fingerprint, time and sequence number.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// Bytes of all frames.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no sample is empty")]
    pub fn len(&self) -> usize {
        self.multipart.iter().map(<[u8]>::len).sum()
    }
}

impl<M> Frames for Sample<M> {
    fn frame(&self, index: usize) -> Option<&[u8]> {
        // Frame 0 of the multipart is the topic.
        self.multipart.frame(index.checked_add(1)?)
    }
}

impl<M> fmt::Debug for Sample<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample").field("header", &self.header).finish_non_exhaustive()
    }
}
