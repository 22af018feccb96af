//! Mutations that keep an input's structure, so that what is behind a length, a checksum or a handshake
//! is reached.

pub mod line;
pub mod msgpack;
pub mod zmtp;

use crate::random::Random;

/// Mutates `data`, whose first `len` bytes are the input, into at most `max` bytes; returns their
/// number. One in four times as libFuzzer does it, otherwise by `mutate`.
pub fn within(
    data: &mut [u8],
    len: usize,
    max: usize,
    seed: u32,
    mutate: impl FnOnce(&[u8], &mut Random) -> Option<Vec<u8>>,
) -> usize {
    let mut random = Random(seed.into());
    if random.one_in(4) {
        return libfuzzer_sys::fuzzer_mutate(data, len, max);
    }
    match mutate(&data[..len], &mut random) {
        Some(new) if new.len() <= max => {
            data[..new.len()].copy_from_slice(&new);
            new.len()
        }
        _ => libfuzzer_sys::fuzzer_mutate(data, len, max),
    }
}

/// Flips, drops, doubles or inserts bytes.
pub fn bytes(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() || random.one_in(4) {
        let at = random.below(bytes.len() + 1);
        let new = random.bytes(8);
        bytes.splice(at..at, new);
        return;
    }
    let at = random.below(bytes.len());
    match random.below(4) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.pick(&[0, 1, 0x7f, 0x80, 0xfe, 0xff]),
        2 => drop(bytes.remove(at)),
        _ => {
            let end = (at + random.below(16)).min(bytes.len());
            let part = bytes[at..end].to_vec();
            bytes.splice(at..at, part);
        }
    }
}
