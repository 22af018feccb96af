//! The header of a frame.

use crate::stream::io::append;
use crate::stream::zmtp::error::ZmtpErrorKind;

const FLAG_MORE: u8 = 1;
const FLAG_LONG: u8 = 2;
const FLAG_COMMAND: u8 = 4;

/// The bytes before the body of a frame.
pub type FrameHead = heapless::Vec<u8, 20>;

/// Flags and length of a frame.
///
/// ```text
/// flags | len u8, or u64 big-endian      flags: 1 more frames follow, 2 long length, 4 command
/// ```
///
/// Source: ZMTP 3.1, "Framing".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FrameHeader {
    flags: u8,
    len: u64,
}

impl FrameHeader {
    /// Bytes of the longest header.
    pub const MAX_LEN: usize = 9;

    /// The header of a frame of a message; `is_last` if no frame follows.
    #[must_use]
    pub const fn message(len: u64, is_last: bool) -> Self {
        Self { flags: if is_last { 0 } else { FLAG_MORE }, len }
    }

    /// The header of a command.
    #[must_use]
    pub const fn command(len: u64) -> Self {
        Self { flags: FLAG_COMMAND, len }
    }

    /// Whether another frame of the same message follows.
    #[must_use]
    pub const fn has_more(self) -> bool {
        self.flags & FLAG_MORE != 0
    }

    /// Whether the frame is a command.
    #[must_use]
    pub const fn is_command(self) -> bool {
        Self::starts_command(self.flags)
    }

    /// Whether a frame whose first byte is `flags` is a command.
    pub(super) const fn starts_command(flags: u8) -> bool {
        flags & FLAG_COMMAND != 0
    }

    /// Bytes of the body, as the peer claims.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a length that a peer claims")]
    pub const fn len(self) -> u64 {
        self.len
    }

    /// Decodes a header at the start of `input`; returns it with its own length, or `None` if more
    /// bytes are needed.
    ///
    /// # Errors
    ///
    /// `Flags`, already with the first byte.
    pub const fn decode(input: &[u8]) -> Result<Option<(Self, usize)>, ZmtpErrorKind> {
        let Some((&flags, rest)) = input.split_first() else { return Ok(None) };
        let is_command = Self::starts_command(flags);
        if flags & !(FLAG_MORE | FLAG_LONG | FLAG_COMMAND) != 0
            || (is_command && flags & FLAG_MORE != 0)
        {
            return Err(ZmtpErrorKind::Flags { found: flags });
        }
        if flags & FLAG_LONG != 0 {
            let Some(len) = rest.first_chunk::<8>() else { return Ok(None) };
            return Ok(Some((Self { flags, len: u64::from_be_bytes(*len) }, Self::MAX_LEN)));
        }
        let Some(&len) = rest.first() else { return Ok(None) };
        Ok(Some((Self { flags, len: len as u64 }, 2)))
    }

    /// The header as bytes: two, or nine for a body of more than 255 bytes.
    #[must_use]
    pub fn encode(self) -> FrameHead {
        let mut head = FrameHead::new();
        let flags = self.flags & !FLAG_LONG;
        // At most nine bytes.
        match u8::try_from(self.len) {
            Ok(len) => append(&mut head, &[flags, len]),
            Err(_) => {
                let [a, b, c, d, e, f, g, h] = self.len.to_be_bytes();
                append(&mut head, &[flags | FLAG_LONG, a, b, c, d, e, f, g, h]);
            }
        }
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_decoded_from_any_number_of_bytes_that_suffice() {
        for len in [0, 1, 255, 256, 65_536, u64::MAX] {
            for header in [
                FrameHeader::message(len, false),
                FrameHeader::message(len, true),
                FrameHeader::command(len),
            ] {
                let bytes = header.encode();
                for cut in 0..bytes.len() {
                    assert_eq!(FrameHeader::decode(&bytes[..cut]), Ok(None));
                }
                let (decoded, used) = FrameHeader::decode(&bytes).unwrap().unwrap();
                assert_eq!((decoded.len(), used), (len, bytes.len()));
                assert_eq!(decoded.has_more(), header.has_more());
                assert_eq!(decoded.is_command(), header.is_command());
            }
        }
    }

    #[test]
    fn rejects_undefined_and_contradictory_flags() {
        for flags in 0..=255_u8 {
            let is_valid = matches!(flags, 0 | 1 | 2 | 3 | 4 | 6);
            assert_eq!(FrameHeader::decode(&[flags]).is_ok(), is_valid, "{flags:#x}");
        }
    }
}
