//! Mutations of a ZMTP stream: of its frames behind a right greeting.

use crate::oracle::zmtp::{GREETING, frame};
use crate::random::Random;

/// Mutates the frames of a stream behind one byte.
pub fn stream(data: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let (first, stream) = data.split_first()?;
    let mut greeting = GREETING.to_vec();
    let mut frames: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut rest = stream.get(64..).unwrap_or_default();
    while let Some((flags, body, behind)) = frame(rest) {
        frames.push((flags, body.to_vec()));
        rest = behind;
    }
    if frames.is_empty() || random.one_in(5) {
        let at = random.below(frames.len() + 1);
        frames.insert(at, command(random));
    }
    let at = random.below(frames.len());
    match random.below(8) {
        0 => drop(frames.remove(at)),
        1 => frames.insert(at, frames[at].clone()),
        2 => frames[at].0 ^= random.pick(&[1, 2, 4, 8]),
        3 => {
            let max = random.pick(&[3, 150, 300]);
            frames[at] = (random.pick(&[0, 1, 1]), random.bytes(max));
        }
        4 => frames[at] = command(random),
        5 => greeting[10 + random.below(2)] = random.pick(&[0, 2, 3, 4]),
        6 => {
            let pings = random.below(30);
            frames.splice(
                at..at,
                (0..pings).map(|ping| (4, [b"\x04PING\0\0", &[ping as u8; 9][..]].concat())),
            );
        }
        _ => crate::mutate::bytes(&mut frames[at].1, random),
    }
    let mut out = vec![*first];
    out.extend(greeting);
    for (flags, body) in frames {
        let is_long = body.len() > 255 || random.one_in(10);
        out.push(if is_long { flags | 2 } else { flags & !2 });
        if is_long {
            out.extend((body.len() as u64).to_be_bytes());
        } else {
            out.push(body.len() as u8);
        }
        out.extend(body);
    }
    Some(out)
}

fn command(random: &mut Random) -> (u8, Vec<u8>) {
    let ready = |kind: &str| {
        let len = [0, 0, 0, kind.len() as u8];
        [&b"\x05READY\x0bSocket-Type"[..], &len, kind.as_bytes()].concat()
    };
    let bytes = match random.below(12) {
        0..3 => ready(random.pick(&["SUB", "PUB", "ROUTER", "XPUB", "REP", "XSUB"])),
        3 => b"\x09SUBSCRIBE/cam".to_vec(),
        4 => b"\x06CANCEL/cam".to_vec(),
        5 => b"\x04PING\0\0context".to_vec(),
        6 => b"\x04PONGx".to_vec(),
        7 => b"\x05ERROR\0".to_vec(),
        8 => return (0, b"\x01/cam".to_vec()),
        9 => return (0, b"\0/cam".to_vec()),
        10 => return (1, Vec::new()),
        _ => [b"\x09SUBSCRIBE".to_vec(), random.bytes(200)].concat(),
    };
    (4, bytes)
}
