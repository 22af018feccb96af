//! A message to send, as ZMTP frames: bytes that are copied and parts that are borrowed.

use std::io::IoSlice;
use std::ops::Range;

use smallvec::SmallVec;

use crate::transport::socket::Part;
use crate::wire::zmtp::FrameHeader;

/// Parts of up to this length are copied beside their header: one piece costs less than two.
pub(super) const INLINE_LEN: usize = 1024;

/// A piece of an encoded message.
#[derive(Debug, Clone)]
pub(super) enum Segment {
    /// Bytes of the encoder's memory.
    Inline(Range<usize>),
    /// A whole part, by its index.
    Part(usize),
}

/// The last encoded message; its memory is reused for the next one.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    inline: Vec<u8>,
    segments: SmallVec<[Segment; 12]>,
    len: usize,
}

impl Encoder {
    /// Encodes the frames of a message.
    pub(super) fn encode(&mut self, parts: &[Part<'_>]) {
        self.inline.clear();
        self.segments.clear();
        self.len = 0;
        let mut begun = 0;
        for (index, part) in parts.iter().enumerate() {
            let bytes = part.as_slice();
            let is_last = index.saturating_add(1) == parts.len();
            let header = FrameHeader::message(bytes.len() as u64, is_last).encode();
            self.inline.extend_from_slice(&header);
            self.len = self.len.saturating_add(header.len()).saturating_add(bytes.len());
            if bytes.len() <= INLINE_LEN {
                self.inline.extend_from_slice(bytes);
            } else {
                self.segments.push(Segment::Inline(begun..self.inline.len()));
                self.segments.push(Segment::Part(index));
                begun = self.inline.len();
            }
        }
        if begun < self.inline.len() {
            self.segments.push(Segment::Inline(begun..self.inline.len()));
        }
    }

    /// Bytes of the encoded message.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The bytes of an inline segment.
    pub(super) fn inline(&self, range: &Range<usize>) -> &[u8] {
        self.inline.get(range.clone()).unwrap_or_default()
    }

    /// The bytes of the whole message, if no part is borrowed.
    pub(super) fn contiguous(&self) -> Option<&[u8]> {
        (self.len == self.inline.len()).then_some(&self.inline)
    }

    /// The message as slices, for one vectored write.
    pub(super) fn slices<'e>(&'e self, parts: &'e [Part<'_>]) -> SmallVec<[IoSlice<'e>; 12]> {
        let bytes = |segment: &Segment| match segment {
            Segment::Inline(range) => self.inline(range),
            Segment::Part(index) => parts.get(*index).map_or(&[][..], Part::as_slice),
        };
        self.segments.iter().map(bytes).map(IoSlice::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(parts: &[Part<'_>]) -> (Vec<u8>, usize) {
        let mut encoder = Encoder::default();
        encoder.encode(parts);
        let slices = encoder.slices(parts);
        (slices.iter().flat_map(|slice| slice.to_vec()).collect(), encoder.len())
    }

    #[test]
    fn a_message_is_encoded_as_frames_whether_copied_or_borrowed() {
        for len in [0, 1, 255, 256, INLINE_LEN, INLINE_LEN + 1, 70_000] {
            let body = vec![7; len];
            let parts = [Part::Copy(b"/t"), Part::Copy(&body), Part::Copy(b"z")];
            let header = FrameHeader::message(len as u64, false).encode();
            let expected = [b"\x01\x02/t", &header[..], &body, b"\x00\x01z"].concat();
            assert_eq!(encoded(&parts), (expected.clone(), expected.len()));
        }
        assert_eq!(encoded(&[]), (Vec::new(), 0));
    }
}
