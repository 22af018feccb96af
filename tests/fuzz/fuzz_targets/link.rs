//! Bytes of a line, whole and in random pieces: a naive parser finds the same frames and faults, and
//! what comes whole is sent as a naive encoder sends it. The same bytes as a hello.

#![no_main]

use cortex_fuzz::oracle::link::{self as naive, Said};
use cortex_fuzz::random::Random;
use cortex_fuzz::{limits, mutate};
use cortex_wire::link::{Direction, Event, Hello, LinkErrorKind, Receiver, Sender};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const CAPACITY: usize = 300;

fuzz_target!(|data: &[u8]| {
    // As if the checksum were right.
    let hello = limits::borrowed(data.len(), 1, || Hello::decode(data));
    match (&hello, naive::hello(data)) {
        (Ok(hello), Ok(theirs)) => {
            check(hello);
            assert_eq!(read(hello), theirs);
        }
        (Ok(hello), Err(why)) => panic!("we accept {hello:?}, they say {why}"),
        (Err(error), Ok(_)) => assert!(error.to_string().contains("0xc1"), "{error}"),
        (Err(_), Err(_)) => {}
    }
    let Some((&seed, line)) = data.split_first() else { return };
    let expected = naive::receive(line, CAPACITY);
    assert_eq!(received(&[line]), expected, "as a whole");
    let pieces = Random(u64::from(seed) << 32 | line.len() as u64).pieces(line);
    assert_eq!(received(&pieces), expected, "in pieces");

    // What came whole is sent as naive code sends it, and is received again.
    let mut sender = Sender::new();
    let mut sequence = 0_u32;
    let mut again = Vec::new();
    for said in &expected.0 {
        let Said::Message(frames) = said else { continue };
        let parts: Vec<_> = frames.iter().map(Vec::as_slice).collect();
        let before = again.len();
        sender.message(&parts, |bytes| again.extend_from_slice(bytes));
        let mut body = [&[2][..], &sequence.to_be_bytes()].concat();
        for frame in frames {
            body.extend((frame.len() as u32).to_be_bytes());
            body.extend(frame);
        }
        body.extend(naive::crc32(&body).to_be_bytes());
        assert_eq!(again[before..], [&[0], &naive::cobs(&body)[..], &[0]].concat());
        sequence += 1;
    }
    assert_eq!(received(&[&again]).0.len(), sequence as usize);
});

fuzz_mutator!(|data: &mut [u8], len: usize, max: usize, seed: u32| {
    mutate::within(data, len, max, seed, mutate::line::line)
});

fn received(pieces: &[&[u8]]) -> (Vec<Said>, naive::Counts) {
    let mut receiver = Receiver::new([0; CAPACITY]);
    let mut all = Vec::new();
    for mut piece in pieces.iter().copied() {
        while let Some(result) = receiver.receive(&mut piece) {
            all.push(match result {
                Ok(Event::Message(message)) => {
                    Said::Message(message.frames().map(Vec::from).collect())
                }
                Ok(Event::Hello { hello, is_new }) => {
                    check(&hello);
                    let (node, epoch, topics) = read(&hello);
                    Said::Hello(node, epoch, topics, is_new)
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => {
                    let why = match error.kind {
                        LinkErrorKind::Truncated => "truncated",
                        LinkErrorKind::TooShort { .. } => "short",
                        LinkErrorKind::TooLong { .. } => "long",
                        LinkErrorKind::Checksum { .. } => "checksum",
                        LinkErrorKind::Duplicate { .. } => "duplicate",
                        LinkErrorKind::Kind { .. } => "kind",
                        LinkErrorKind::Frames => "frames",
                        LinkErrorKind::Version { .. } => "version",
                        _ => "hello",
                    };
                    Said::Dropped(why, error.offset)
                }
            });
        }
    }
    let stats = receiver.stats();
    assert_eq!(stats.bytes, pieces.iter().map(|piece| piece.len() as u64).sum::<u64>());
    let counts =
        [stats.frames, stats.lost, stats.duplicated, stats.damaged, stats.refused, stats.restarted];
    (all, counts)
}

fn read(hello: &Hello<'_>) -> (String, u64, Vec<naive::Topic>) {
    let topic = |topic: cortex_wire::link::Topic<'_>| {
        let direction = u64::from(topic.direction == Direction::Subscribed);
        let (name, kind) = (topic.name.to_owned(), topic.message_type.to_owned());
        (direction, name, kind, topic.fingerprint, topic.layout)
    };
    (hello.node.to_owned(), hello.epoch, hello.topics.into_iter().map(topic).collect())
}

/// Encodes a hello and decodes it again.
fn check(hello: &Hello<'_>) {
    let needed = hello.encode(&mut []).expect_err("a list is not empty").needed;
    let mut out = vec![0; needed];
    let again = hello.encode(&mut out).expect("it fits");
    assert_eq!(Hello::decode(again).expect("what we encoded decodes"), *hello);
}
