//! The serial link under a fault injector.
//!
//! `CORTEX_LINK_DAMAGED` sets how many frames are damaged, `CORTEX_LINK_SEED` repeats a run.

use std::collections::VecDeque;
use std::env;

use cortex_wire::link::{Direction, Event, Hello, LinkErrorKind, Receiver, Sender, Topic};
use cortex_wire::{ImageMessage, IntMessage};

/// Numbers that are the same again for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("it is below a usize")
    }

    /// True at a rate of `per_mille`.
    fn happens(&mut self, per_mille: u64) -> bool {
        self.next() % 1000 < per_mille
    }

    /// Bytes of which many are zero, few are, or all are equal: the cases that COBS distinguishes.
    fn bytes(&mut self, max: usize) -> Vec<u8> {
        let (len, kind) = (self.below(max + 1), self.below(4));
        let same = self.next() as u8;
        (0..len)
            .map(|_| match kind {
                0 => self.next() as u8,
                1 => (self.next() % 2) as u8,
                2 => (self.next() % 255) as u8 + 1,
                _ => same,
            })
            .collect()
    }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// The content of a frame: the frames of a message, or the epoch of a hello.
#[derive(Debug, PartialEq, Clone)]
enum Said {
    Message(Vec<Vec<u8>>),
    Hello(u64),
}

impl From<Event<'_>> for Said {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message(message) => Self::Message(message.frames().map(Vec::from).collect()),
            Event::Hello { hello, .. } => Self::Hello(hello.epoch),
            other => panic!("{other:?}"),
        }
    }
}

#[derive(Default, Debug)]
struct Faults {
    dropped: u64,
    flipped: u64,
    truncated: u64,
    duplicated: u64,
}

/// Sends frames over a line that drops, flips, duplicates and truncates, each at `per_mille`,
/// until `damaged` of them were.
fn damage(seed: u64, per_mille: u64, damaged: u64) -> Faults {
    let mut random = Random(seed);
    let mut faults = Faults::default();
    let topics = [
        Topic::of::<ImageMessage<'_>>(Direction::Published, "/cam"),
        Topic::of::<IntMessage>(Direction::Subscribed, "/rate"),
    ];
    let mut sender = Sender::new();
    let mut receiver = Receiver::new(vec![0; 1024]);
    // The frames that must arrive, and those that may: their damage may lie outside of the checksum.
    let mut expected: VecDeque<(Said, bool)> = VecDeque::new();
    let mut sent = 0_u64;
    while faults.dropped + faults.flipped + faults.truncated < damaged {
        sent += 1;
        let mut frame = Vec::new();
        let said = if random.happens(50) {
            let epoch = sent;
            let mut out = [0; 128];
            let hello = Hello { node: "board", epoch, topics: topics[..].into(), time_ns: None };
            let hello = hello.encode(&mut out).expect("it fits");
            sender.hello(hello, |bytes| frame.extend_from_slice(bytes));
            Said::Hello(epoch)
        } else {
            // The number makes each message unique.
            let mut frames = vec![sent.to_be_bytes().to_vec()];
            frames.extend((0..random.below(4)).map(|_| random.bytes(100)));
            let parts: Vec<_> = frames.iter().map(Vec::as_slice).collect();
            sender.message(&parts, |bytes| frame.extend_from_slice(bytes));
            Said::Message(frames)
        };

        let mut copies = vec![frame];
        if random.happens(per_mille) {
            faults.duplicated += 1;
            copies.push(copies[0].clone());
        }
        let mut whole = 0;
        let mut line = Vec::new();
        for mut copy in copies {
            let before = copy.clone();
            if random.happens(per_mille) {
                faults.dropped += 1;
                copy.clear();
            }
            if random.happens(per_mille) && !copy.is_empty() {
                faults.flipped += 1;
                for _ in 0..random.below(8) + 1 {
                    let bit = random.below(copy.len() * 8);
                    copy[bit / 8] ^= 1 << (bit % 8);
                }
            }
            if random.happens(per_mille) && !copy.is_empty() {
                faults.truncated += 1;
                let at = random.below(copy.len());
                copy = if random.happens(500) { copy.split_off(at) } else { copy[..at].to_vec() };
            }
            whole += usize::from(copy == before);
            line.extend_from_slice(&copy);
        }
        expected.push_back((said, whole > 0));

        for mut input in line.chunks(random.below(300) + 1) {
            while let Some(result) = receiver.receive(&mut input) {
                let said = match result {
                    Ok(event) => Said::from(event),
                    Err(error) => {
                        let kind = error.kind;
                        let is_expected =
                            kind.is_damage() || matches!(kind, LinkErrorKind::Duplicate { .. });
                        // Two damaged frames that lost the zeros between them may be too long.
                        let is_merged = matches!(kind, LinkErrorKind::TooLong { .. });
                        assert!(is_expected || is_merged, "seed {seed}: {error}");
                        continue;
                    }
                };
                // In order, and nothing that was whole is missing before it.
                loop {
                    match expected.pop_front() {
                        Some((sent, _)) if sent == said => break,
                        Some((_, false)) => {}
                        other => panic!(
                            "seed {seed}, frame {sent}: received {said:?}, expected {other:?}"
                        ),
                    }
                }
            }
        }
        // Whatever was damaged before, everything that was whole is there.
        let missing = expected.iter().find(|(_, must)| *must);
        assert_eq!(missing, None, "seed {seed}, frame {sent}: it was not delivered");
    }
    let stats = receiver.stats();
    println!("{per_mille} per mille: {sent} frames sent, {faults:?}, {stats:?}");
    faults
}

#[test]
fn no_damaged_frame_is_delivered_and_every_whole_one_is() {
    let seed = number("CORTEX_LINK_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("a clock").as_nanos() as u64
    });
    let damaged = number("CORTEX_LINK_DAMAGED").unwrap_or(6000);
    println!("seed {seed}");
    for per_mille in [1, 10, 50] {
        // Where faults are rare it takes many frames to get them.
        let damaged = damaged * per_mille / 61;
        let faults = damage(seed, per_mille, damaged);
        assert!(faults.duplicated > 0);
    }
}
