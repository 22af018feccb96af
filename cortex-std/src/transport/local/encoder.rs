//! A message to send, as ZMTP frames: bytes that are copied and parts that are borrowed.

use std::io::IoSlice;
use std::ops::Range;

use smallvec::SmallVec;

use crate::transport::socket::Part;
use crate::wire::zmtp::FrameHeader;

/// Parts of up to this length are copied beside their header: one piece costs less than two.
pub(super) const INLINE_LEN: usize = 1024;
/// The longest body with a header of two bytes.
const SHORT_LEN: usize = 255;

/// A piece of an encoded message.
#[derive(Debug, Clone)]
pub(super) enum Segment {
    /// Bytes of the encoder's memory.
    Inline(Range<usize>),
    /// A whole part, by its index.
    Part(usize),
}

/// One encoded message, or several that are wholly copied; the memory is reused for the next ones.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    inline: Vec<u8>,
    segments: SmallVec<[Segment; 12]>,
    len: usize,
    messages: usize,
}

impl Encoder {
    /// Forgets what is encoded.
    pub(super) fn clear(&mut self) {
        self.inline.clear();
        self.segments.clear();
        self.len = 0;
        self.messages = 0;
    }

    /// Encodes one message, and nothing else.
    pub(super) fn encode(&mut self, parts: &[Part<'_>]) {
        self.clear();
        let mut begun = 0;
        for (index, part) in parts.iter().enumerate() {
            let bytes = part.as_slice();
            append_header(bytes.len(), index.saturating_add(1) == parts.len(), &mut self.inline);
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
        self.len = encoded_len(parts);
        self.messages = 1;
    }

    /// Appends a message to others, and copies all of its parts.
    pub(super) fn append(&mut self, parts: &[Part<'_>]) {
        self.inline.reserve(encoded_len(parts));
        let last = parts.len().saturating_sub(1);
        for (index, part) in parts.iter().enumerate() {
            let bytes = part.as_slice();
            append_header(bytes.len(), index == last, &mut self.inline);
            self.inline.extend_from_slice(bytes);
        }
        self.len = self.inline.len();
        self.messages = self.messages.saturating_add(1);
        match self.segments.last_mut() {
            Some(Segment::Inline(range)) => range.end = self.len,
            _ => self.segments.push(Segment::Inline(0..self.len)),
        }
    }

    /// The number of messages.
    pub(super) fn messages(&self) -> usize {
        self.messages
    }

    /// Bytes of the encoded messages.
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

    /// The messages as slices, for one vectored write.
    pub(super) fn slices<'e>(&'e self, parts: &'e [Part<'_>]) -> SmallVec<[IoSlice<'e>; 12]> {
        let bytes = |segment: &Segment| match segment {
            Segment::Inline(range) => self.inline(range),
            Segment::Part(index) => parts.get(*index).map_or(&[][..], Part::as_slice),
        };
        self.segments.iter().map(bytes).map(IoSlice::new).collect()
    }
}

/// Bytes of an encoded message.
pub(super) fn encoded_len(parts: &[Part<'_>]) -> usize {
    let len = |part: &Part<'_>| match part.len() {
        len @ 0..=SHORT_LEN => len.saturating_add(2),
        len => len.saturating_add(FrameHeader::MAX_LEN),
    };
    parts.iter().map(len).fold(0, usize::saturating_add)
}

fn append_header(len: usize, is_last: bool, out: &mut Vec<u8>) {
    let header = FrameHeader::message(len as u64, is_last).encode();
    match *header {
        // Faster than a copy of any length.
        [flags, len] => out.extend_from_slice(&[flags, len]),
        _ => out.extend_from_slice(&header),
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
            assert_eq!(encoded_len(&parts), expected.len());
            let mut encoder = Encoder::default();
            encoder.append(&parts);
            encoder.append(&parts);
            assert_eq!((encoder.messages(), encoder.len()), (2, 2 * expected.len()));
            assert_eq!(
                encoder.slices(&[]).iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>(),
                [&expected[..], &expected].concat()
            );
        }
        assert_eq!(encoded(&[]), (Vec::new(), 0));
    }
}
