//! A received message with the frames that it lives in.

use std::fmt;
use std::marker::PhantomData;

use crate::receiver::Received;
use crate::socket::multipart::Multipart;
use crate::wire::{DecodeError, Frames, Header, Message, decode_lax};

/// A received message with the frames that it lives in.
///
/// It may be kept, and sent to other threads; the message borrows from it.
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
    pub(crate) fn new(received: Received) -> Self {
        let Received { multipart, header } = received;
        Self { multipart, header, message: PhantomData }
    }

    /// The message, borrowing from this sample.
    ///
    /// # Errors
    ///
    /// None for a sample that a [`Subscriber`](crate::Subscriber) returned: it was decoded once to
    /// check it.
    pub fn message(&self) -> Result<M::View<'_>, DecodeError> {
        // The receiver checked the fingerprint, unless it was asked not to.
        decode_lax::<M>(self)
    }
}

impl<M> Sample<M> {
    /// Fingerprint, time and number.
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
