//! Mutations of a serial line: of the frames behind COBS and checksum, which are made right again.

use crate::mutate::msgpack;
use crate::oracle::link::{cobs, crc32, segments, uncobs};
use crate::random::Random;

/// Mutates the frames of a line behind one byte.
pub fn line(data: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let (first, line) = data.split_first()?;
    let mut bodies: Vec<Vec<u8>> = segments(line).filter_map(uncobs).collect();
    if bodies.is_empty() || random.one_in(6) {
        let sequence = bodies.len() as u8;
        bodies.push(vec![2, 0, 0, 0, sequence, 0, 0, 0, 1, b'/', 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    let at = random.below(bodies.len());
    match random.below(10) {
        0 => drop(bodies.remove(at)),
        1 => bodies.insert(at, bodies[at].clone()),
        2 => bodies[at] = random.bytes(20),
        _ => {
            let body = &mut bodies[at];
            body.truncate(body.len().saturating_sub(4));
            body.resize(body.len().max(5), 0);
            change(body, random);
            let mut sum = crc32(body);
            if random.one_in(6) {
                sum ^= 1 << random.below(32);
            }
            body.extend(sum.to_be_bytes());
        }
    }
    let mut out = vec![*first];
    for body in &bodies {
        out.push(0);
        out.extend(cobs(body));
        if random.one_in(20) {
            out.pop();
        }
        out.push(0);
    }
    if random.one_in(12) {
        crate::mutate::bytes(&mut out, random);
    }
    Some(out)
}

/// Changes kind, sequence number or payload.
fn change(body: &mut Vec<u8>, random: &mut Random) {
    match random.below(6) {
        0 => body[0] = random.pick(&[0, 1, 2, 2, 3]),
        1 => {
            let sequence = random.pick(&[0, 1, 2, 5, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
            body[1..5].copy_from_slice(&sequence.to_be_bytes());
        }
        2 if body[0] == 1 => {
            if let Some(hello) = msgpack::tree(&body[5..], random) {
                body.truncate(5);
                body.extend(hello);
            }
        }
        3 => {
            // A message of several frames, some of them empty, some long.
            body.truncate(5);
            body[0] = 2;
            for _ in 0..random.below(5) {
                let max = random.pick(&[0, 3, 60, 260]);
                let frame = random.bytes(max);
                body.extend((frame.len() as u32).to_be_bytes());
                body.extend(frame);
            }
        }
        _ => {
            let mut payload = body.split_off(5);
            crate::mutate::bytes(&mut payload, random);
            body.extend(payload);
        }
    }
}
