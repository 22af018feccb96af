//! The 24-byte header of every message.

use crate::error::{DecodeError, DecodeErrorKind};
use crate::limits::HEADER_LEN;

/// The header of a message: type, time and sequence number.
///
/// ```text
/// byte   0               8               16              24
///        | fingerprint   | timestamp_ns  | sequence      |
///        | u64           | u64           | u64           |   big-endian
/// ```
///
/// # Examples
///
/// ```
/// use cortex_wire::{Header, StringMessage};
///
/// let header = Header::of::<StringMessage>(1_700_000_000_000_000_000, 2);
/// assert_eq!(header.fingerprint, 0xacf8_d647_5271_e065);
/// assert_eq!(Header::decode(&header.encode())?, header);
/// # Ok::<(), cortex_wire::DecodeError>(())
/// ```
///
/// Source: wire reference, "Header".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    /// The type: first eight bytes of SHA-256 over its canonical string.
    pub fingerprint: u64,
    /// Time of publication: nanoseconds since the Unix epoch, by the publisher's clock.
    pub timestamp_ns: u64,
    /// Sequence number at the publisher, from 0; dropped messages consume a number too.
    pub sequence: u64,
}

impl Header {
    /// Bytes of an encoded header.
    pub const LEN: usize = HEADER_LEN;

    /// The encoded header.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        let words = [self.fingerprint, self.timestamp_ns, self.sequence];
        for (chunk, word) in out.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *chunk = word.to_be_bytes();
        }
        out
    }

    /// Decodes a header frame.
    ///
    /// # Errors
    ///
    /// [`HeaderLength`](DecodeErrorKind::HeaderLength) unless `frame` has exactly 24 bytes.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        match frame.as_chunks::<8>() {
            ([fingerprint, timestamp_ns, sequence], []) => Ok(Self {
                fingerprint: u64::from_be_bytes(*fingerprint),
                timestamp_ns: u64::from_be_bytes(*timestamp_ns),
                sequence: u64::from_be_bytes(*sequence),
            }),
            _ => Err(DecodeError::new(DecodeErrorKind::HeaderLength { found: frame.len() }, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_every_other_length() {
        let bytes = [0u8; 40];
        for len in (0..40).filter(|&len| len != Header::LEN) {
            let error = Header::decode(&bytes[..len]).unwrap_err();
            assert_eq!(error.kind, DecodeErrorKind::HeaderLength { found: len });
        }
    }

    #[test]
    fn fields_are_big_endian_in_order() {
        let header = Header { fingerprint: 1, timestamp_ns: 2, sequence: 3 };
        let bytes = header.encode();
        assert_eq!((bytes[7], bytes[15], bytes[23]), (1, 2, 3));
        assert_eq!(Header::decode(&bytes), Ok(header));
    }
}
