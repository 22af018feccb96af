//! The encoder of a frame: COBS and checksum, block by block.

use core::fmt;

use crate::stream::io::append;
use crate::stream::link::layout::{PREAMBLE_LEN, extend_checksum};

/// Maximum bytes of a COBS block without its code.
const RUN: u8 = 254;
/// Number of closed bytes at which they are returned.
const ENOUGH: usize = 128;
/// Bytes in an encoder: closed bytes, an open block, and at the end the checksum.
pub const BLOCK_CAPACITY: usize = ENOUGH + RUN as usize + 18;

/// Encodes one frame from pieces of its payload of any size.
///
/// Holds [`BLOCK_CAPACITY`] bytes for a frame of any length, because COBS needs a lookahead of at
/// most 254 bytes: an array is encoded in place, or line by line as a sensor delivers it.
///
/// # Examples
///
/// ```
/// use cortex_wire::link::Sender;
///
/// let lines = [[1; 4]; 3];
/// let mut sender = Sender::new();
/// let mut out = Vec::new();
/// // A message of two frames, `/t` and an array of 12 bytes.
/// let mut frame = sender.start_message();
/// for mut piece in [&[0, 0, 0, 2][..], b"/t", &[0, 0, 0, 12], &lines[0], &lines[1], &lines[2]] {
///     while let Some(bytes) = frame.push(&mut piece) {
///         out.extend_from_slice(bytes);
///     }
/// }
/// out.extend_from_slice(frame.finish());
/// assert_eq!((out[0], out[out.len() - 1]), (0, 0));
/// ```
#[must_use = "a frame is not sent until its bytes are written"]
pub struct FrameEncoder {
    /// Checksum of all bytes so far.
    checksum: u32,
    cobs: Blocks,
}

impl FrameEncoder {
    /// A frame before its start. Inline, and separate from [`begin`](Self::begin), so that the
    /// frame is started in place and not copied from one stack frame to the next.
    #[inline(always)]
    pub(super) const fn new() -> Self {
        let bytes = heapless::Vec::new();
        let cobs = Blocks { bytes, open: 1, run: 0, follows_full: false, taken: 0 };
        Self { checksum: 0, cobs }
    }

    pub(super) fn begin(&mut self, kind: u8, sequence: u32) {
        // The zero before the frame, and the first code.
        append(&mut self.cobs.bytes, &[0, 0]);
        let [s0, s1, s2, s3] = sequence.to_be_bytes();
        let preamble: [u8; PREAMBLE_LEN] = [kind, s0, s1, s2, s3];
        self.checksum = extend_checksum(0, &preamble);
        self.cobs.push_all(&preamble);
    }

    /// Consumes payload from the start of `input`. Returns bytes for the line as soon as there are
    /// enough, `None` when `input` is empty.
    pub fn push(&mut self, input: &mut &[u8]) -> Option<&[u8]> {
        let before = *input;
        let is_full = self.cobs.push(input);
        let taken = before.len().saturating_sub(input.len());
        self.checksum = extend_checksum(self.checksum, before.get(..taken).unwrap_or_default());
        is_full.then(|| self.cobs.take())
    }

    /// Ends the frame; returns the last bytes for the line.
    pub fn finish(&mut self) -> &[u8] {
        let checksum = self.checksum.to_be_bytes();
        self.cobs.push_all(&checksum);
        self.cobs.finish()
    }
}

impl fmt::Debug for FrameEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameEncoder").finish_non_exhaustive()
    }
}

/// A COBS encoder that returns blocks as they close.
///
/// The encoder of crate `cobs` needs the whole frame in one slice; the receiver uses its decoder.
struct Blocks {
    bytes: heapless::Vec<u8, BLOCK_CAPACITY>,
    /// Position of the open block's code; all bytes before it are closed.
    open: usize,
    /// Bytes in the open block.
    run: u8,
    /// Whether the previous block was full, so that no zero follows it.
    follows_full: bool,
    /// Number of closed bytes that were returned.
    taken: usize,
}

impl Blocks {
    /// Consumes bytes until enough are closed, then returns true.
    fn push(&mut self, input: &mut &[u8]) -> bool {
        self.drop_taken();
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            self.push_byte(byte);
            if self.open >= ENOUGH {
                return true;
            }
        }
        false
    }

    fn push_all(&mut self, bytes: &[u8]) {
        self.drop_taken();
        bytes.iter().for_each(|&byte| self.push_byte(byte));
    }

    fn push_byte(&mut self, byte: u8) {
        if byte == 0 {
            self.close();
            self.follows_full = false;
            return;
        }
        let _ = self.bytes.push(byte);
        self.run = self.run.saturating_add(1);
        if self.run == RUN {
            self.close();
            self.follows_full = true;
        }
    }

    /// Writes the code of the open block and opens the next block.
    fn close(&mut self) {
        if let Some(code) = self.bytes.get_mut(self.open) {
            *code = self.run.saturating_add(1);
        }
        self.run = 0;
        self.open = self.bytes.len();
        let _ = self.bytes.push(0);
    }

    /// The closed bytes.
    fn take(&mut self) -> &[u8] {
        self.taken = self.open;
        self.bytes.get(..self.open).unwrap_or_default()
    }

    /// Moves the open block to the front.
    fn drop_taken(&mut self) {
        if self.taken == 0 {
            return;
        }
        let len = self.bytes.len();
        if self.taken <= len {
            self.bytes.copy_within(self.taken.., 0);
        }
        self.bytes.truncate(len.saturating_sub(self.taken));
        self.open = self.open.saturating_sub(self.taken);
        self.taken = 0;
    }

    fn finish(&mut self) -> &[u8] {
        if self.run == 0 && self.follows_full {
            // Nothing follows the full block.
            self.bytes.truncate(self.open);
        } else {
            self.close();
            self.bytes.truncate(self.open);
        }
        let _ = self.bytes.push(0);
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::stream::link::layout::{CRC, line_len};

    /// The frame, encoded from pieces of `step` bytes.
    fn encoded(payload: &[u8], step: usize) -> Vec<u8> {
        let mut frame = FrameEncoder::new();
        frame.begin(2, 0x0102_0300);
        let mut out = Vec::new();
        for mut piece in payload.chunks(step) {
            while let Some(bytes) = frame.push(&mut piece) {
                out.extend_from_slice(bytes);
            }
        }
        out.extend_from_slice(frame.finish());
        out
    }

    #[test]
    fn equals_the_output_of_crate_cobs_for_pieces_of_any_size() {
        let ones = [1; 800];
        let zeros = [0; 800];
        let mixed: Vec<u8> = (0..2000_u32).map(|i| (i * i / 7 % 5) as u8).collect();
        let counting: Vec<u8> = (0..2000_u32).map(|i| i as u8).collect();
        for payload in [&ones[..], &zeros, &mixed, &counting] {
            for len in (0..payload.len()).step_by(3).chain(230..270) {
                let payload = &payload[..len];
                let mut body = Vec::from([2, 1, 2, 3, 0]);
                body.extend_from_slice(payload);
                body.extend_from_slice(&CRC.checksum(&body).to_be_bytes());
                let mut expected = std::vec![0; body.len() * 2 + 4];
                let len = cobs::try_encode_including_sentinels(&body, &mut expected);
                expected.truncate(len.expect("it fits"));
                for step in [1, 7, 254, 4096] {
                    assert_eq!(encoded(payload, step), expected, "{} in {step}s", payload.len());
                }
                assert!(expected.len() <= line_len(payload.len()));
            }
        }
    }
}
