//! A received message.

use std::fmt;

use crate::transport::Multipart;
use crate::wire::Frames;

/// A received message of at least one frame. It owns its memory and may be kept and sent to other threads.
pub struct RawMessage {
    multipart: Multipart,
}

impl RawMessage {
    pub(super) fn new(multipart: Multipart) -> Self {
        Self { multipart }
    }

    /// Frame `index`; subscriptions are prefixes of frame 0.
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<&[u8]> {
        self.multipart.frame(index)
    }

    /// All frames in order.
    pub fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.multipart.iter()
    }

    /// The number of frames.
    #[must_use]
    pub fn count(&self) -> usize {
        self.multipart.len()
    }

    /// Bytes of all frames.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no message is empty")]
    pub fn len(&self) -> usize {
        self.frames().map(<[u8]>::len).sum()
    }

    /// The frames after the first: those that the decoder of a Cortex message reads.
    ///
    /// # Examples
    ///
    /// ```
    /// # use cortex_std::{raw::RawMessage, wire::{self, DecodeError, StringMessage}};
    /// fn text(message: &RawMessage) -> Result<String, DecodeError> {
    ///     Ok(wire::decode::<StringMessage>(&message.payload())?.data.to_owned())
    /// }
    /// ```
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        Payload { multipart: &self.multipart }
    }
}

impl fmt::Debug for RawMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lens: Vec<_> = self.frames().map(<[u8]>::len).collect();
        f.debug_struct("RawMessage").field("lens", &lens).finish()
    }
}

/// The frames of a message without the first.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    multipart: &'a Multipart,
}

impl Frames for Payload<'_> {
    fn frame(&self, index: usize) -> Option<&[u8]> {
        self.multipart.frame(index.checked_add(1)?)
    }
}
