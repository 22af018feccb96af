//! The registry as bytes, for the next daemon.
//!
//! ```text
//! "cortex-discovery\n" | version u32 | count u32 | records .. | checksum u64     big-endian
//! record: origin u8 (0 local, 1 remote) | was_alive u8 | len u32 | a REGISTER request
//! ```
//!
//! The checksum is 64 bits of FNV-1a over everything before it.

use super::origin::Origin;
use super::table::{Entry, MAX_TEXT_LEN};
use crate::discovery::body::encode_body;
use crate::endpoint::fnv1a;
use crate::wire::discovery::{Command, Request, RequestExt};

const MAGIC: &[u8] = b"cortex-discovery\n";
const VERSION: u32 = 1;

/// The bytes of a snapshot; `None` without an entry.
pub(in crate::discovery) fn encode<'a>(
    entries: impl Iterator<Item = (&'a str, &'a Entry)>,
) -> Option<Vec<u8>> {
    let mut bytes = [MAGIC, &VERSION.to_be_bytes(), &[0; 4]].concat();
    let mut count = 0_u32;
    let mut body = Vec::new();
    for (name, entry) in entries {
        let request = Request {
            topic_name: Some(name),
            topic_info: Some(entry.info(name)),
            ext: RequestExt {
                layout: entry.layout,
                lease_ms: entry.lease.and_then(|lease| lease.as_millis().try_into().ok()),
                shared: entry.is_shared,
            },
            ..Request::new(Command::RegisterTopic)
        };
        let is_written = encode_body(&mut body, |out| request.encode(out).map(<[u8]>::len)).is_ok();
        let Some(len) = u32::try_from(body.len()).ok().filter(|_| is_written) else { continue };
        bytes.push(u8::from(entry.origin == Origin::Remote));
        bytes.push(u8::from(entry.was_alive));
        bytes.extend(len.to_be_bytes());
        bytes.extend(&body);
        count += 1;
    }
    let at = MAGIC.len() + 4;
    bytes.get_mut(at..at + 4)?.copy_from_slice(&count.to_be_bytes());
    bytes.extend(fnv1a(bytes.iter()).to_be_bytes());
    (count > 0).then_some(bytes)
}

/// The entries of what [`encode`] wrote; `None` for anything else.
pub(in crate::discovery) fn decode(bytes: &[u8]) -> Option<Vec<(String, Entry)>> {
    let (content, checksum) = bytes.split_last_chunk::<8>()?;
    if fnv1a(content.iter()) != u64::from_be_bytes(*checksum) {
        return None;
    }
    let mut rest = content.strip_prefix(MAGIC)?;
    if take_u32(&mut rest)? != VERSION {
        return None;
    }
    let count = take_u32(&mut rest)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let ([origin, was_alive], behind) = rest.split_first_chunk::<2>()?;
        rest = behind;
        let len = usize::try_from(take_u32(&mut rest)?).ok()?;
        let (body, behind) = rest.split_at_checked(len)?;
        rest = behind;
        let request = Request::decode(body).ok()?;
        let info = request.topic_info?;
        let texts = [info.name, info.address, info.message_type, info.publisher_node];
        if info.name.is_empty() || texts.iter().any(|text| text.len() > MAX_TEXT_LEN) {
            return None;
        }
        let origin = if *origin == 0 { Origin::Local } else { Origin::Remote };
        let entry = Entry::new(&info, request.ext, origin);
        entries.push((info.name.to_owned(), Entry { was_alive: *was_alive != 0, ..entry }));
    }
    rest.is_empty().then_some(entries)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u32::from_be_bytes(*number))
}

#[cfg(test)]
pub(in crate::discovery) mod tests {
    use super::*;
    use crate::wire::discovery::TopicInfo;

    pub(in crate::discovery) fn entries() -> Vec<(String, Entry)> {
        let entry = |node, ext, origin, was_alive| {
            let info = TopicInfo {
                name: "/t",
                address: "ipc:///tmp/t",
                message_type: "StringMessage",
                fingerprint: 7,
                publisher_node: node,
            };
            ("/t".to_owned(), Entry { was_alive, ..Entry::new(&info, ext, origin) })
        };
        let ext = RequestExt { layout: Some(5), lease_ms: Some(2000), shared: true };
        vec![
            entry("a", RequestExt::default(), Origin::Local, true),
            entry("b", ext, Origin::Remote, false),
        ]
    }

    pub(in crate::discovery) fn encoded() -> Vec<u8> {
        let entries = entries();
        encode(entries.iter().map(|(name, entry)| (&**name, entry))).unwrap()
    }

    #[test]
    fn a_snapshot_is_decoded_again() {
        assert_eq!(decode(&encoded()), Some(entries()));
        assert_eq!(encode(std::iter::empty()), None);
    }

    #[test]
    fn rejects_a_damaged_snapshot_wherever_it_is_damaged() {
        let good = encoded();
        for len in 0..good.len() {
            assert_eq!(decode(&good[..len]), None, "cut off at {len}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert_eq!(decode(&bad), None, "another byte at {at}");
        }
        // A valid checksum says nothing of lengths and counts.
        let signed = |at: usize, byte: u8| {
            let mut content = good[..good.len() - 8].to_vec();
            content[at] = byte;
            let checksum = fnv1a(content.iter()).to_be_bytes();
            [&content[..], &checksum].concat()
        };
        let start = MAGIC.len();
        for at in start..good.len() - 8 {
            for byte in [0, 1, 0x7f, 0xff] {
                let _ = decode(&signed(at, byte));
            }
        }
        assert_eq!(decode(&signed(start + 3, 2)), None, "another version");
        assert_eq!(decode(&signed(start + 4, 0xff)), None, "more records than there are");
    }
}
