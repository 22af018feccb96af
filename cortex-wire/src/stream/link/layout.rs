//! The layout of a frame on the line.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

use crate::stream::multipart::PREFIX_LEN;

/// Version of the content between the two zeros; each [`Hello`](super::Hello) contains it.
pub const VERSION: u8 = 1;

/// Bytes of a frame besides its payload, before COBS: kind, sequence and checksum.
pub const OVERHEAD: usize = 9;

/// Bytes of kind and sequence.
pub(crate) const PREAMBLE_LEN: usize = 5;

/// Bytes of the checksum.
pub(crate) const CHECKSUM_LEN: usize = 4;

pub(crate) const KIND_HELLO: u8 = 1;
pub(crate) const KIND_MESSAGE: u8 = 2;

/// A table of 1 KiB: a quarter of the time without a table, a sixteenth of the flash of the
/// largest.
pub(crate) type Checksum = Crc<u32, Table<1>>;

pub(crate) static CRC: Checksum = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// The checksum of some bytes followed by `bytes`, where `checksum` is that of the former.
///
/// A stored `Digest` would contain a reference to the algorithm, and so a shift by a width that is
/// unknown to the compiler.
pub(crate) fn extend_checksum(checksum: u32, bytes: &[u8]) -> u32 {
    let mut digest = CRC.digest_with_initial((!checksum).reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

/// Bytes of payload of a message whose frames have these lengths: topic, header, metadata, buffers.
///
/// A frame of the message takes at most [`line_len`] of that on the line, and a receiver's buffer
/// must hold [`OVERHEAD`] bytes more than that.
///
/// # Examples
///
/// ```
/// use cortex_wire::link::{OVERHEAD, line_len, payload_len};
/// use cortex_wire::{Header, IntMessage, Message};
///
/// const RATE: &str = "/board/rate";
/// const METADATA_LEN: usize = IntMessage::MAX_METADATA_LEN.unwrap();
/// const PAYLOAD_LEN: usize = payload_len(&[RATE.len(), Header::LEN, METADATA_LEN]);
/// let buffer = [0; PAYLOAD_LEN + OVERHEAD];
/// assert_eq!((buffer.len(), line_len(PAYLOAD_LEN)), (66, 69));
/// ```
#[must_use]
pub const fn payload_len(frames: &[usize]) -> usize {
    let mut len: usize = 0;
    let mut rest = frames;
    while let Some((first, others)) = rest.split_first() {
        len = len.saturating_add(*first).saturating_add(PREFIX_LEN);
        rest = others;
    }
    len
}

/// Maximum bytes on the line of a frame with `payload_len` bytes of payload.
///
/// At 8N1 a byte takes ten bits: a 32 x 32 image of one byte per pixel, 1,024 bytes and about 120
/// of overhead, takes 100 ms at 115,200 baud.
#[must_use]
pub const fn line_len(payload_len: usize) -> usize {
    let body = payload_len.saturating_add(OVERHEAD);
    body.saturating_add(body / 254).saturating_add(3)
}
