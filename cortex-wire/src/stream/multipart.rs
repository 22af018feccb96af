//! The frames of one message: received in one buffer, or published.

use core::fmt;
use core::iter::FusedIterator;

use crate::codec::encode;
use crate::coding::frames::Frames;
use crate::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::header::Header;
use crate::message::Message;
use crate::msgpack::steps;

/// Bytes of buffer for each frame beside its own: its length on a line, its end in a buffer.
pub(crate) const PREFIX_LEN: usize = 4;

/// A received multipart message: topic, header, metadata, buffers.
///
/// Its [`Frames`] start after the topic, so [`decode`](crate::decode) accepts it. It borrows from
/// the receiver's buffer. Each frame is found in constant time.
#[derive(Clone, Copy)]
pub struct Multipart<'a> {
    /// The bytes of all frames, without gaps.
    bytes: &'a [u8],
    /// The end of each frame in `bytes`, the last frame first; never empty.
    ends: &'a [[u8; PREFIX_LEN]],
}

impl<'a> Multipart<'a> {
    /// The frames in order, the topic first.
    #[must_use]
    pub const fn frames(&self) -> MultipartFrames<'a> {
        MultipartFrames { message: *self, next: 0 }
    }

    /// The first frame.
    #[must_use]
    pub fn topic(&self) -> &'a [u8] {
        self.get(0).unwrap_or_default()
    }

    /// The header, which is the frame after the topic.
    ///
    /// # Errors
    ///
    /// `NoFrames` if there is only a topic, `HeaderLength`.
    pub fn header(&self) -> Result<Header, DecodeError> {
        Header::decode(self.get(1).ok_or(DecodeError::new(DecodeErrorKind::NoFrames, 0))?)
    }

    /// Frame `index`, where 0 is the topic.
    fn get(&self, index: usize) -> Option<&'a [u8]> {
        let place = self.ends.len().checked_sub(index)?;
        let end = end_at(self.ends, place.checked_sub(1)?)?;
        let start = end_at(self.ends, place).unwrap_or(0);
        self.bytes.get(start..end)
    }

    /// The message after its first frame, if that is empty and others follow.
    pub(crate) fn after_delimiter(self) -> Option<Self> {
        let ends = match self.ends {
            [ends @ .., [0, 0, 0, 0]] if !ends.is_empty() => ends,
            _ => return None,
        };
        Some(Self { ends, ..self })
    }
}

fn end_at(ends: &[[u8; PREFIX_LEN]], place: usize) -> Option<usize> {
    steps::count(1);
    usize::try_from(u32::from_ne_bytes(*ends.get(place)?)).ok()
}

impl Frames for Multipart<'_> {
    fn frame(&self, index: usize) -> Option<&[u8]> {
        self.get(index.checked_add(1)?)
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
        self.bytes == other.bytes && self.ends == other.ends
    }
}

impl Eq for Multipart<'_> {}

#[cfg(feature = "defmt")]
impl defmt::Format for Multipart<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{} frames", self.ends.len());
    }
}

/// Iterator over the frames of a [`Multipart`].
#[derive(Clone, Debug)]
pub struct MultipartFrames<'a> {
    message: Multipart<'a>,
    next: usize,
}

impl<'a> Iterator for MultipartFrames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let frame = self.message.get(self.next)?;
        self.next = self.next.saturating_add(1);
        Some(frame)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.message.ends.len().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for MultipartFrames<'_> {}
impl FusedIterator for MultipartFrames<'_> {}

/// The frames of a message in a buffer while it is received.
///
/// ```text
/// | frame 0 | frame 1 | ...        free        ... | end of frame 1, u32 | end of frame 0, u32 |
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameList {
    /// Bytes of the frames.
    len: usize,
    count: usize,
}

impl FrameList {
    /// An empty list.
    pub(crate) const fn new() -> Self {
        Self { len: 0, count: 0 }
    }

    /// The place of the next frame.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of buffer in use: frames and ends.
    pub(crate) const fn used(&self) -> usize {
        self.len.saturating_add(self.count.saturating_mul(PREFIX_LEN))
    }

    /// Appends the frame whose bytes are at [`len`](Self::len). Bytes that the buffer cannot hold
    /// are not written; the caller drops such a message.
    pub(crate) fn push(&mut self, buffer: &mut [u8], frame_len: usize) {
        self.len = self.len.saturating_add(frame_len);
        self.count = self.count.saturating_add(1);
        let end = u32::try_from(self.len).unwrap_or(u32::MAX).to_ne_bytes();
        let place = buffer.len().checked_sub(self.count.saturating_mul(PREFIX_LEN));
        let place = place.and_then(|place| buffer.get_mut(place..)?.first_chunk_mut());
        if let Some(place) = place {
            *place = end;
        }
    }

    /// The message; `None` if there are no frames.
    pub(crate) fn message<'a>(&self, buffer: &'a [u8]) -> Option<Multipart<'a>> {
        let ends = buffer.len().checked_sub(self.count.checked_mul(PREFIX_LEN)?)?;
        let (bytes, ends) = buffer.split_at_checked(ends)?;
        let ends = ends.as_chunks().0;
        (!ends.is_empty()).then_some(Multipart { bytes: bytes.get(..self.len)?, ends })
    }
}

/// Divides a payload into frames while it is received.
///
/// ```text
/// | len u32 | bytes | len u32 | bytes | ...      big-endian, to the end
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Splitter {
    frames: FrameList,
    /// The length of the current frame, as far as it is received.
    prefix: [u8; PREFIX_LEN],
    prefix_len: usize,
    /// Bytes of the current frame.
    body_len: usize,
}

impl Splitter {
    /// A splitter at the start of a payload.
    pub(crate) const fn new() -> Self {
        Self { frames: FrameList::new(), prefix: [0; PREFIX_LEN], prefix_len: 0, body_len: 0 }
    }

    /// Takes the next byte.
    pub(crate) fn push(&mut self, buffer: &mut [u8], byte: u8) {
        if let Some(place) = self.prefix.get_mut(self.prefix_len) {
            *place = byte;
            self.prefix_len = self.prefix_len.saturating_add(1);
        } else {
            let place = self.frames.len().saturating_add(self.body_len);
            if let Some(place) = buffer.get_mut(place) {
                *place = byte;
            }
            self.body_len = self.body_len.saturating_add(1);
        }
        let frame_len = u32::from_be_bytes(self.prefix);
        if self.prefix_len == PREFIX_LEN && usize::try_from(frame_len) == Ok(self.body_len) {
            self.frames.push(buffer, self.body_len);
            self.prefix_len = 0;
            self.body_len = 0;
        }
    }

    /// Passes the payload so far, as it was received, to `visit`.
    pub(crate) fn visit(&self, buffer: &[u8], mut visit: impl FnMut(&[u8])) {
        for frame in self.frames.message(buffer).into_iter().flatten() {
            visit(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes());
            visit(frame);
        }
        visit(self.prefix.get(..self.prefix_len).unwrap_or_default());
        let body = buffer.get(self.frames.len()..).unwrap_or_default();
        visit(body.get(..self.body_len).unwrap_or_default());
    }

    /// The message; `None` if its last frame is incomplete, or if there are no frames.
    pub(crate) fn message<'a>(&self, buffer: &'a [u8]) -> Option<Multipart<'a>> {
        if self.prefix_len > 0 {
            return None;
        }
        self.frames.message(buffer)
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
    fn frames_must_fill_the_payload_exactly() {
        let bytes = b"\0\0\0\x02/t\0\0\0\0\0\0\0\x01x";
        let mut buffer = [0xff; 15];
        let mut splitter = Splitter::new();
        for (len, &byte) in bytes.iter().enumerate() {
            let whole = [6, 10].contains(&len);
            assert_eq!(splitter.message(&buffer).is_some(), whole, "{len}");
            let mut visited = std::vec::Vec::new();
            splitter.visit(&buffer, |part| visited.extend_from_slice(part));
            assert_eq!(visited, bytes[..len]);
            splitter.push(&mut buffer, byte);
        }
        let message = splitter.message(&buffer).expect("it is complete");
        assert_eq!(message.topic(), b"/t");
        assert_eq!(message.frame(0), Some(&b""[..]));
        assert_eq!(message.frame(1), Some(&b"x"[..]));
        assert_eq!(message.frame(2), None);
        assert_eq!(message.frame(usize::MAX), None);
        assert!(message.frames().eq([&b"/t"[..], b"", b"x"]));
        assert_eq!(message.header().map_err(|error| error.offset), Err(0));
    }

    #[test]
    fn a_claimed_length_of_four_gigabytes_is_not_a_frame() {
        let mut buffer = [0; 8];
        let mut splitter = Splitter::new();
        for byte in *b"\xff\xff\xff\xffx" {
            splitter.push(&mut buffer, byte);
        }
        assert!(splitter.message(&buffer).is_none());
    }

    #[test]
    fn a_delimiter_is_an_empty_first_frame_before_others() {
        let mut buffer = *b"ab______________";
        let mut frames = FrameList::new();
        frames.push(&mut buffer, 0);
        assert_eq!(frames.message(&buffer).expect("a frame").after_delimiter(), None);
        frames.push(&mut buffer, 2);
        let message = frames.message(&buffer).expect("two frames");
        assert!(message.after_delimiter().expect("a delimiter").frames().eq([b"ab"]));
        assert_eq!(message.after_delimiter().expect("a delimiter").after_delimiter(), None);
        assert_eq!((frames.len(), frames.used()), (2, 10));
    }
}
