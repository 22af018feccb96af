//! Commands of a peer.

use crate::stream::zmtp::error::ZmtpErrorKind;

/// Maximum bytes of the context of a PING.
const MAX_CONTEXT_LEN: usize = 16;

/// A decoded command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// The handshake, with the peer's socket type.
    Ready { socket_type: &'a [u8] },
    /// The peer rejects the connection.
    Error,
    /// A subscription to messages with this prefix.
    Subscribe(&'a [u8]),
    /// The end of such a subscription.
    Cancel(&'a [u8]),
    /// A request for a PONG with the same context.
    Ping { context: &'a [u8] },
    /// PONG and unknown commands, which are ignored.
    Other,
}

impl<'a> Command<'a> {
    /// Decodes the body of a command frame.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, ZmtpErrorKind> {
        let (name, data) = short(body).ok_or(ZmtpErrorKind::Command)?;
        Ok(match name {
            b"READY" => Self::Ready { socket_type: socket_type(data)? },
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
    pub(super) fn read_message(body: &'a [u8]) -> Self {
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

/// The socket type among the properties of READY.
fn socket_type(mut data: &[u8]) -> Result<&[u8], ZmtpErrorKind> {
    let mut found = &b""[..];
    while !data.is_empty() {
        let (name, rest) = short(data).ok_or(ZmtpErrorKind::Command)?;
        let (len, rest) = rest.split_first_chunk::<4>().ok_or(ZmtpErrorKind::Command)?;
        let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
        let (value, rest) = rest.split_at_checked(len).ok_or(ZmtpErrorKind::Command)?;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            found = value;
        }
        data = rest;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_the_commands_of_libzmq() {
        let ready = b"\x05READY\x0bSocket-Type\0\0\0\x03SUB\x08Identity\0\0\0\0";
        assert_eq!(Command::read(ready), Ok(Command::Ready { socket_type: b"SUB" }));
        assert_eq!(Command::read(b"\x09SUBSCRIBE/t"), Ok(Command::Subscribe(b"/t")));
        assert_eq!(Command::read(b"\x06CANCEL"), Ok(Command::Cancel(b"")));
        assert_eq!(Command::read(b"\x04PING\0\x01ab"), Ok(Command::Ping { context: b"ab" }));
        assert_eq!(Command::read(b"\x04PONGab"), Ok(Command::Other));
        assert_eq!(Command::read(b"\x05ERROR\x03why"), Ok(Command::Error));
        assert_eq!(Command::read_message(b"\x01/t"), Command::Subscribe(b"/t"));
        assert_eq!(Command::read_message(b"\0"), Command::Cancel(b""));
        assert_eq!(Command::read_message(b"hello"), Command::Other);
    }

    #[test]
    fn rejects_wrong_lengths() {
        let ready = b"\x05READY\x0bSocket-Type\0\0\0\x03SUB";
        for len in (0..ready.len()).filter(|&len| len != 6) {
            assert_eq!(Command::read(&ready[..len]), Err(ZmtpErrorKind::Command), "{len}");
        }
        let long = b"\x05READY\x0bSocket-Type\xff\xff\xff\xffSUB";
        assert_eq!(Command::read(long), Err(ZmtpErrorKind::Command));
        assert_eq!(Command::read(b"\x04PING\0"), Err(ZmtpErrorKind::Command));
        assert_eq!(Command::read(b"\x04PING\0\x0012345678901234567"), Err(ZmtpErrorKind::Command));
    }
}
