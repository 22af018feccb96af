//! Commands: decoding those of a peer, encoding ours.

use crate::stream::io::append;
use crate::stream::zmtp::error::ZmtpErrorKind;
use crate::stream::zmtp::frame::{FrameHead, FrameHeader};

/// Maximum bytes of the context of a PING.
const MAX_CONTEXT_LEN: usize = 16;

/// A command of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Command<'a> {
    /// The handshake, with the peer's socket type and other properties.
    Ready(Properties<'a>),
    /// The peer rejects the connection.
    Error,
    /// A subscription to messages with this prefix.
    Subscribe(&'a [u8]),
    /// The end of such a subscription.
    Cancel(&'a [u8]),
    /// A request for a PONG with the same context.
    Ping {
        /// Up to 16 bytes, to be returned.
        context: &'a [u8],
    },
    /// PONG and unknown commands, which are ignored.
    Other,
}

impl<'a> Command<'a> {
    /// Decodes the body of a command frame.
    ///
    /// # Errors
    ///
    /// `Command` for a malformed one.
    pub fn decode(body: &'a [u8]) -> Result<Self, ZmtpErrorKind> {
        let (name, data) = short(body).ok_or(ZmtpErrorKind::Command)?;
        Ok(match name {
            b"READY" => Self::Ready(Properties::new(data)?),
            b"ERROR" => Self::Error,
            b"SUBSCRIBE" => Self::Subscribe(data),
            b"CANCEL" => Self::Cancel(data),
            b"PING" => match data {
                [_, _, context @ ..] if context.len() <= MAX_CONTEXT_LEN => Self::Ping { context },
                _ => return Err(ZmtpErrorKind::Command),
            },
            _ => Self::Other,
        })
    }

    /// Decodes a message by which a ZMTP 3.0 peer subscribes: a byte 1 or 0 before the prefix.
    #[must_use]
    pub fn decode_message(body: &'a [u8]) -> Self {
        match body {
            [1, prefix @ ..] => Self::Subscribe(prefix),
            [0, prefix @ ..] => Self::Cancel(prefix),
            _ => Self::Other,
        }
    }
}

/// Bytes after a length of one byte, and the rest.
fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

/// The properties of READY; every length is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Properties<'a> {
    data: &'a [u8],
}

impl<'a> Properties<'a> {
    fn new(data: &'a [u8]) -> Result<Self, ZmtpErrorKind> {
        let mut rest = data;
        while !rest.is_empty() {
            rest = property(rest).ok_or(ZmtpErrorKind::Command)?.2;
        }
        Ok(Self { data })
    }

    /// The value of a property, whose name is compared without case; of several the last.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&'a [u8]> {
        let mut found = None;
        let mut rest = self.data;
        while let Some((other, value, behind)) = property(rest) {
            if other.eq_ignore_ascii_case(name) {
                found = Some(value);
            }
            rest = behind;
        }
        found
    }

    /// The peer's socket type; empty if it is missing.
    #[must_use]
    pub fn socket_type(&self) -> &'a [u8] {
        self.get(b"Socket-Type").unwrap_or_default()
    }
}

/// Name and value of the first property, and the bytes after it.
fn property(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = short(data)?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
    let (value, rest) = rest.split_at_checked(len)?;
    Some((name, value, rest))
}

/// Passes the frame of READY with these properties, which include `Socket-Type`, to `write`.
pub fn write_ready(properties: &[(&str, &[u8])], mut write: impl FnMut(&[u8])) {
    let len = properties.iter().fold(6_u64, |len, (name, value)| {
        let property = name.len().saturating_add(value.len()).saturating_add(5);
        len.saturating_add(u64::try_from(property).unwrap_or(u64::MAX))
    });
    write(&FrameHeader::command(len).encode());
    write(b"\x05READY");
    for (name, value) in properties {
        write(&[u8::try_from(name.len()).unwrap_or(u8::MAX)]);
        write(name.as_bytes());
        write(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        write(value);
    }
}

/// The bytes before the prefix of a subscription, or of its cancellation: a command, or a message if
/// the minor version of the peer's ZMTP is 0.
#[must_use]
pub fn subscription_head(minor: u8, prefix_len: usize, subscribe: bool) -> FrameHead {
    let (is_command, start): (bool, &[u8]) = match (minor, subscribe) {
        (0, true) => (false, b"\x01"),
        (0, false) => (false, b"\x00"),
        (_, true) => (true, b"\x09SUBSCRIBE"),
        (_, false) => (true, b"\x06CANCEL"),
    };
    let len = u64::try_from(prefix_len.saturating_add(start.len())).unwrap_or(u64::MAX);
    let header =
        if is_command { FrameHeader::command(len) } else { FrameHeader::message(len, true) };
    let mut head = header.encode();
    // Nine bytes of header and ten of this are fewer than 20.
    append(&mut head, start);
    head
}

/// The bytes before the context of a PONG.
#[must_use]
pub fn pong_head(context_len: usize) -> FrameHead {
    let len = u64::try_from(context_len.saturating_add(5)).unwrap_or(u64::MAX);
    let mut head = FrameHeader::command(len).encode();
    append(&mut head, b"\x04PONG");
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_the_commands_of_libzmq() {
        let ready = b"\x05READY\x0bSocket-Type\0\0\0\x03SUB\x08Identity\0\0\0\0";
        let Ok(Command::Ready(properties)) = Command::decode(ready) else { panic!("not READY") };
        assert_eq!(properties.socket_type(), b"SUB");
        assert_eq!(properties.get(b"identity"), Some(&b""[..]));
        assert_eq!(properties.get(b"other"), None);
        assert_eq!(Command::decode(b"\x09SUBSCRIBE/t"), Ok(Command::Subscribe(b"/t")));
        assert_eq!(Command::decode(b"\x06CANCEL"), Ok(Command::Cancel(b"")));
        assert_eq!(Command::decode(b"\x04PING\0\x01ab"), Ok(Command::Ping { context: b"ab" }));
        assert_eq!(Command::decode(b"\x04PONGab"), Ok(Command::Other));
        assert_eq!(Command::decode(b"\x05ERROR\x03why"), Ok(Command::Error));
        assert_eq!(Command::decode_message(b"\x01/t"), Command::Subscribe(b"/t"));
        assert_eq!(Command::decode_message(b"\0"), Command::Cancel(b""));
        assert_eq!(Command::decode_message(b"hello"), Command::Other);
    }

    #[test]
    fn ready_is_decoded_again() {
        let properties = [("Socket-Type", &b"PUB"[..]), ("X-Cortex-Queue", b"10")];
        let mut bytes = std::vec::Vec::new();
        write_ready(&properties, |part| bytes.extend_from_slice(part));
        let (header, used) = FrameHeader::decode(&bytes).unwrap().unwrap();
        assert_eq!(header.len(), (bytes.len() - used) as u64);
        let Ok(Command::Ready(decoded)) = Command::decode(&bytes[used..]) else { panic!("READY") };
        assert_eq!(decoded.socket_type(), b"PUB");
        assert_eq!(decoded.get(b"X-Cortex-Queue"), Some(&b"10"[..]));
    }

    #[test]
    fn rejects_wrong_lengths() {
        let ready = b"\x05READY\x0bSocket-Type\0\0\0\x03SUB";
        for len in (0..ready.len()).filter(|&len| len != 6) {
            assert_eq!(Command::decode(&ready[..len]), Err(ZmtpErrorKind::Command), "{len}");
        }
        let long = b"\x05READY\x0bSocket-Type\xff\xff\xff\xffSUB";
        assert_eq!(Command::decode(long), Err(ZmtpErrorKind::Command));
        assert_eq!(Command::decode(b"\x04PING\0"), Err(ZmtpErrorKind::Command));
        assert_eq!(
            Command::decode(b"\x04PING\0\x0012345678901234567"),
            Err(ZmtpErrorKind::Command)
        );
    }
}
