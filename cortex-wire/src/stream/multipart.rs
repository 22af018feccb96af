//! The frames of one message: received in one buffer, or published.

use core::fmt;

use crate::codec::encode;
use crate::coding::frames::Frames;
use crate::error::EncodeError;
use crate::message::Message;

/// Bytes of the length before each frame.
pub(crate) const PREFIX_LEN: usize = 4;

/// A received multipart message: topic, header, metadata, buffers.
///
/// Its [`Frames`] start after the topic, so [`decode`](crate::decode) accepts it. It borrows from
/// the receiver's buffer.
///
/// ```text
/// | len u32 | bytes | len u32 | bytes | ...      big-endian, to the end
/// ```
#[derive(Clone, Copy)]
pub struct Multipart<'a> {
    bytes: &'a [u8],
}

impl<'a> Multipart<'a> {
    /// The frames in `bytes`; `None` if they do not fill it exactly, or if there are none.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = split(rest)?.1;
        }
        (!bytes.is_empty()).then_some(Self { bytes })
    }

    /// The frames in order, the topic first.
    #[must_use]
    pub const fn frames(&self) -> MultipartFrames<'a> {
        MultipartFrames { rest: self.bytes }
    }

    /// The first frame.
    #[must_use]
    pub fn topic(&self) -> &'a [u8] {
        self.frames().next().unwrap_or_default()
    }
}

/// The first frame, and the bytes after it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<PREFIX_LEN>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)
}

impl Frames for Multipart<'_> {
    fn frame(&self, index: usize) -> Option<&[u8]> {
        self.frames().nth(index.checked_add(1)?)
    }
}

impl<'a> IntoIterator for Multipart<'a> {
    type Item = &'a [u8];
    type IntoIter = MultipartFrames<'a>;

    fn into_iter(self) -> MultipartFrames<'a> {
        self.frames()
    }
}

impl fmt::Debug for Multipart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

impl PartialEq for Multipart<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Multipart<'_> {}

#[cfg(feature = "defmt")]
impl defmt::Format for Multipart<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{} frames", self.frames().count());
    }
}

/// Iterator over the frames of a [`Multipart`].
#[derive(Clone, Debug)]
pub struct MultipartFrames<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for MultipartFrames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (frame, rest) = split(self.rest)?;
        self.rest = rest;
        Some(frame)
    }
}

/// Maximum number of frames of a message sent by `publish`: topic, header, metadata and 13 arrays.
pub const MAX_PUBLISHED_FRAMES: usize = 16;

/// All frames of a message; `scratch` holds its metadata.
pub(crate) fn published_frames<'b, M: Message>(
    topic: &'b str,
    header: &'b [u8],
    message: &'b M,
    scratch: &'b mut [u8],
) -> Result<heapless::Vec<&'b [u8], MAX_PUBLISHED_FRAMES>, EncodeError> {
    let mut buffers = heapless::Vec::<&[u8], { MAX_PUBLISHED_FRAMES - 3 }>::new();
    let metadata = encode(message, scratch, &mut buffers)?;
    let mut frames = heapless::Vec::new();
    let first = [topic.as_bytes(), header, metadata];
    for frame in first.into_iter().chain(buffers.iter().copied()) {
        // The two capacities fit each other.
        let _ = frames.push(frame);
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_must_fill_the_buffer_exactly() {
        let bytes = b"\0\0\0\x02/t\0\0\0\0\0\0\0\x01x";
        for len in 0..bytes.len() {
            let whole = [6, 10].contains(&len);
            assert_eq!(Multipart::new(&bytes[..len]).is_some(), whole, "{len}");
        }
        let message = Multipart::new(bytes).expect("it is complete");
        assert_eq!(message.topic(), b"/t");
        assert_eq!(message.frame(0), Some(&b""[..]));
        assert_eq!(message.frame(1), Some(&b"x"[..]));
        assert_eq!(message.frame(2), None);
        assert_eq!(message.frame(usize::MAX), None);
        assert!(Multipart::new(b"\xff\xff\xff\xffx").is_none());
    }
}
