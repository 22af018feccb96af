//! The serial link by its description: the whole line at once, a frame after the other.

use rmpv::Value as Item;

use crate::oracle::item;

/// What a frame is, or why it is dropped.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The frames of a message.
    Message(Vec<Vec<u8>>),
    /// The node, its start, its topics, and whether the start is another one.
    Hello(String, u64, Vec<Topic>, bool),
    /// The reason, and the bytes of the line up to the end of the frame.
    Dropped(&'static str, u64),
}

/// Direction, name, type, fingerprint and layout.
pub type Topic = (u64, String, String, u64, u64);

/// Frames, lost, duplicated, damaged, refused, restarted.
pub type Counts = [u64; 6];

/// CRC-32/ISO-HDLC, bit by bit.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = !0_u32;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (if sum & 1 == 1 { 0xedb8_8320 } else { 0 });
        }
    }
    !sum
}

/// The bytes between zeros, of which the last must end with one.
pub fn segments(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = line.iter().rposition(|byte| *byte == 0).map_or(0, |at| at + 1);
    line[..whole].split(|byte| *byte == 0).filter(|segment| !segment.is_empty())
}

/// The content of a COBS segment; `None` if it ends inside of a block.
pub fn uncobs(mut segment: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    while let Some((code, rest)) = segment.split_first() {
        let block = rest.get(..usize::from(*code) - 1)?;
        out.extend(block);
        segment = &rest[block.len()..];
        if *code < 255 && !segment.is_empty() {
            out.push(0);
        }
    }
    Some(out)
}

/// A COBS segment of these bytes, without the zeros around it.
pub fn cobs(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut blocks = bytes.split(|byte| *byte == 0).peekable();
    while let Some(block) = blocks.next() {
        let mut chunks = block.chunks(254).peekable();
        if block.is_empty() {
            out.push(1);
        }
        while let Some(chunk) = chunks.next() {
            out.push(chunk.len() as u8 + 1);
            out.extend(chunk);
            // A block of 254 is not followed by a zero, so one that is needs another block.
            if chunk.len() == 254 && chunks.peek().is_none() && blocks.peek().is_some() {
                out.push(1);
            }
        }
    }
    out
}

/// What a receiver with a buffer of `capacity` bytes says, and its counts.
pub fn receive(line: &[u8], capacity: usize) -> (Vec<Said>, Counts) {
    let mut all = Vec::new();
    let [mut frames, mut lost, mut duplicated, mut damaged, mut refused, mut restarted] = [0; 6];
    let (mut last, mut epoch) = (None, None);
    let mut end = 0;
    for segment in line.split_inclusive(|byte| *byte == 0) {
        end += segment.len() as u64;
        let Some((0, segment)) = segment.split_last() else { continue };
        if segment.is_empty() {
            continue;
        }
        let said = frame(segment, capacity, &mut last, &mut lost, &mut restarted)
            .and_then(|body| content(&body, &mut epoch));
        *match &said {
            Ok(_) => &mut frames,
            Err("duplicate") => &mut duplicated,
            Err("truncated" | "short" | "checksum") => &mut damaged,
            Err(_) => &mut refused,
        } += 1;
        all.push(said.unwrap_or_else(|why| Said::Dropped(why, end)));
    }
    (all, [frames, lost, duplicated, damaged, refused, restarted])
}

/// The frame without its checksum; counts by sequence number.
fn frame(
    segment: &[u8],
    capacity: usize,
    last: &mut Option<(u32, u32)>,
    lost: &mut u64,
    restarted: &mut u64,
) -> Result<Vec<u8>, &'static str> {
    let mut body = uncobs(segment).ok_or("truncated")?;
    if body.len() > capacity {
        return Err("long");
    }
    if body.len() < 9 {
        return Err("short");
    }
    let sum = body.split_off(body.len() - 4);
    let sum = u32::from_be_bytes(sum.try_into().expect("four"));
    if sum != crc32(&body) {
        return Err("checksum");
    }
    let sequence = u32::from_be_bytes(body[1..5].try_into().expect("four"));
    match last.replace((sequence, sum)) {
        Some(before) if before == (sequence, sum) => return Err("duplicate"),
        Some((before, _)) => match sequence.wrapping_sub(before) {
            ahead @ 1..=0x7fff_ffff => *lost += u64::from(ahead) - 1,
            _ => *restarted += 1,
        },
        None => {}
    }
    Ok(body)
}

fn content(body: &[u8], epoch: &mut Option<u64>) -> Result<Said, &'static str> {
    match (body[0], &body[5..]) {
        (1, hello) => {
            let (node, start, topics) = self::hello(hello)?;
            let is_new = epoch.replace(start) != Some(start);
            Ok(Said::Hello(node, start, topics, is_new))
        }
        (2, mut rest) => {
            let mut frames = Vec::new();
            while !rest.is_empty() {
                let len = rest.get(..4).ok_or("frames")?;
                let len = u32::from_be_bytes(len.try_into().expect("four")) as usize;
                frames.push(rest[4..].get(..len).ok_or("frames")?.to_vec());
                rest = &rest[4 + len..];
            }
            if frames.is_empty() { Err("frames") } else { Ok(Said::Message(frames)) }
        }
        _ => Err("kind"),
    }
}

/// The node, its start and its topics of a hello.
pub fn hello(payload: &[u8]) -> Result<(String, u64, Vec<Topic>), &'static str> {
    // Of another version nothing but this is known.
    let mut rest = payload;
    let count = rmp::decode::read_array_len(&mut rest).map_err(|_| "hello")?;
    let is_whole = count >= 4 && rest.len() >= count as usize;
    match rmp::decode::read_int::<u64, _>(&mut rest) {
        Ok(1) if is_whole => {}
        Ok(_) if is_whole => return Err("version"),
        _ => return Err("hello"),
    }
    let item = item(payload).ok_or("hello")?;
    let fields = item.as_array().ok_or("hello")?;
    let text = |item: &Item| item.as_str().map(str::to_owned);
    let topic = |item: &Item| -> Option<Topic> {
        let [direction, name, kind, fingerprint, layout, ..] = &item.as_array()?[..] else {
            return None;
        };
        let direction = direction.as_u64().filter(|direction| *direction < 2)?;
        Some((direction, text(name)?, text(kind)?, fingerprint.as_u64()?, layout.as_u64()?))
    };
    let all = || {
        let topics = fields[3].as_array()?.iter().map(topic).collect::<Option<_>>()?;
        Some((text(&fields[1])?, fields[2].as_u64()?, topics))
    };
    all().ok_or("hello")
}
