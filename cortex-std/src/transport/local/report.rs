//! What a publisher tells a diagnostic tool of its subscribers: a command that only Cortex peers know.
//!
//! A tool connects as a subscriber without a subscription and sends the command `X-CORTEX-REPORT` without
//! data. The answer is the same command with a MessagePack list: for each subscriber its process id, the
//! name of its process, the name of its node (each nil where unknown), the messages lost for it, the
//! messages and bytes that wait for it, and the arrays that were lent to it in shared memory, those that it
//! holds, their bytes, and the milliseconds since it was lent the oldest of them (nil where it maps none, and
//! the last one where it holds none).

use std::time::Duration;

use crate::stats::PeerStats;
use crate::wire::msgpack::{Reader, Token, Writer};
use crate::wire::zmtp::FrameHeader;
use crate::wire::{DecodeError, EncodeError};

/// The property of READY by which a publisher says that it answers.
pub(super) const REPORT_PROPERTY: &str = "X-Cortex-Report";
/// The length and the name of the command.
pub(super) const COMMAND: &[u8] = b"\x0fX-CORTEX-REPORT";
/// The most subscribers of an answer.
const MAX_SUBSCRIBERS: usize = 10_000;
/// Items of one subscriber.
const ITEMS: u32 = 10;

/// The frame of a request.
pub(super) fn request() -> Vec<u8> {
    command(&[])
}

/// The frame of an answer.
pub(super) fn answer(subscribers: &[PeerStats]) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    loop {
        match encode(subscribers, &mut bytes) {
            Ok(len) => {
                bytes.truncate(len);
                return command(&bytes);
            }
            Err(_) => bytes.resize(bytes.len().saturating_mul(2), 0),
        }
    }
}

fn command(data: &[u8]) -> Vec<u8> {
    let len = COMMAND.len().saturating_add(data.len()) as u64;
    [&FrameHeader::command(len).encode(), COMMAND, data].concat()
}

fn encode(subscribers: &[PeerStats], bytes: &mut [u8]) -> Result<usize, EncodeError> {
    let mut out = Writer::new(bytes);
    let count = subscribers.len().min(MAX_SUBSCRIBERS);
    out.write_list(count)?;
    for subscriber in subscribers.iter().take(count) {
        out.write_list(ITEMS as usize)?;
        write_int(&mut out, subscriber.pid.map(u64::from));
        write_str(&mut out, subscriber.process.as_deref())?;
        write_str(&mut out, subscriber.node.as_deref())?;
        write_int(&mut out, subscriber.lost);
        write_int(&mut out, subscriber.waiting.map(|count| count as u64));
        write_int(&mut out, subscriber.waiting_bytes);
        write_int(&mut out, subscriber.lent);
        write_int(&mut out, subscriber.held.map(|count| count as u64));
        write_int(&mut out, subscriber.held_bytes);
        let millis = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        write_int(&mut out, subscriber.held_for.map(millis));
    }
    out.finish().map(<[u8]>::len)
}

fn write_int(out: &mut Writer<'_>, value: Option<u64>) {
    match value {
        Some(value) => out.write_int(value),
        None => out.write_nil(),
    }
}

fn write_str(out: &mut Writer<'_>, value: Option<&str>) -> Result<(), EncodeError> {
    match value {
        Some(value) => out.write_str(value),
        None => {
            out.write_nil();
            Ok(())
        }
    }
}

/// Decodes an answer; items that are added later are ignored.
///
/// # Errors
/// When it is malformed.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<PeerStats>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let count = reader.read_list()?;
    let mut subscribers = Vec::new();
    for _ in 0..count {
        let items = reader.read_list()?;
        let mut subscriber = PeerStats::default();
        for item in 0..items {
            let token = match item {
                0..ITEMS => reader.read()?,
                _ => {
                    reader.skip()?;
                    continue;
                }
            };
            let int = match token {
                Token::Int(int) => u64::try_from(int).ok(),
                _ => None,
            };
            let text = match token {
                Token::Str(text) => Some(text.to_owned()),
                _ => None,
            };
            match item {
                0 => subscriber.pid = int.and_then(|pid| u32::try_from(pid).ok()),
                1 => subscriber.process = text,
                2 => subscriber.node = text,
                3 => subscriber.lost = int,
                4 => subscriber.waiting = int.and_then(|count| usize::try_from(count).ok()),
                5 => subscriber.waiting_bytes = int,
                6 => subscriber.lent = int,
                7 => subscriber.held = int.and_then(|count| usize::try_from(count).ok()),
                8 => subscriber.held_bytes = int,
                _ => subscriber.held_for = int.map(Duration::from_millis),
            }
        }
        subscribers.push(subscriber);
    }
    reader.finish()?;
    Ok(subscribers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(frame: &[u8]) -> &[u8] {
        let (header, start) = FrameHeader::decode(frame).unwrap().unwrap();
        assert!(header.is_command());
        frame[start..].strip_prefix(COMMAND).unwrap()
    }

    #[test]
    fn an_answer_is_decoded_whatever_is_known_and_however_many_there_are() {
        let known = PeerStats {
            pid: Some(u32::MAX),
            process: Some("python3".to_owned()),
            node: Some("viewer".to_owned()),
            lost: Some(u64::MAX),
            waiting: Some(3),
            waiting_bytes: Some(1 << 40),
            lent: Some(1 << 50),
            held: Some(2),
            held_bytes: Some(1 << 24),
            held_for: Some(Duration::from_millis(12_345)),
        };
        let list = [known, PeerStats::default()];
        assert_eq!(decode(data(&answer(&list))).unwrap(), list);
        let many = vec![list[0].clone(); MAX_SUBSCRIBERS + 1];
        assert_eq!(decode(data(&answer(&many))).unwrap().len(), MAX_SUBSCRIBERS);
        assert_eq!(data(&request()), b"");
    }

    #[test]
    fn further_items_are_ignored_and_a_malformed_answer_is_an_error() {
        let longer = b"\x91\x9c\x07\xa1a\xc0\x00\x01\x02\xc0\xc0\xc0\xc0\xa1x\x90";
        let decoded = decode(longer).unwrap();
        assert_eq!((decoded[0].pid, decoded[0].waiting_bytes), (Some(7), Some(2)));
        for len in 0..longer.len() {
            assert!(decode(&longer[..len]).is_err(), "{len}");
        }
        assert!(decode(b"\xdd\xff\xff\xff\xff").is_err());
    }
}
