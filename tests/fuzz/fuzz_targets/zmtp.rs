//! Bytes of a peer that speaks ZMTP, or does not, whole and in random pieces: a naive parser does the
//! same, and writes the same.

#![no_main]

use cortex_fuzz::mutate;
use cortex_fuzz::oracle::zmtp::{self as naive, Done, Happened};
use cortex_fuzz::random::Random;
use cortex_wire::zmtp::{Connection, Event, Role, ZmtpErrorKind};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

const CAPACITY: usize = 160;

fuzz_target!(|data: &[u8]| {
    let Some((&first, input)) = data.split_first() else { return };
    let (role, theirs) = match first % 3 {
        0 => (Role::Pub { topic: "/cam/frame" }, ("PUB", "/cam/frame")),
        1 => (Role::Sub, ("SUB", "")),
        _ => (Role::Req, ("REQ", "")),
    };
    let expected = naive::receive(theirs, CAPACITY, input);
    assert_eq!(received(role, &[input]), expected, "as a whole");
    let pieces = Random(u64::from(first) << 32 | input.len() as u64).pieces(input);
    assert_eq!(received(role, &pieces), expected, "in pieces");
});

fuzz_mutator!(|data: &mut [u8], len: usize, max: usize, seed: u32| {
    mutate::within(data, len, max, seed, mutate::zmtp::stream)
});

/// What a peer did, what was answered, and how it failed.
fn received(role: Role<'_>, pieces: &[&[u8]]) -> Done {
    let mut connection = Connection::new(role, [0; CAPACITY]).expect("the buffer is large enough");
    let mut done = Done::default();
    let write = |connection: &mut Connection<'_, [u8; CAPACITY]>, out: &mut Vec<u8>| {
        out.extend_from_slice(connection.pending());
        connection.written(connection.pending().len());
    };
    write(&mut connection, &mut done.out);
    for mut piece in pieces.iter().copied() {
        while !piece.is_empty() {
            let before = piece.len();
            match connection.receive(&mut piece) {
                Ok(event) => {
                    done.events.extend(event.map(happened));
                    assert!(piece.len() < before || !connection.pending().is_empty(), "it stalls");
                }
                Err(error) => {
                    write(&mut connection, &mut done.out);
                    assert_eq!(connection.receive(&mut &b"more"[..]), Err(error));
                    done.error = Some((name(error.kind), error.offset));
                    return done;
                }
            }
            write(&mut connection, &mut done.out);
        }
    }
    done
}

fn happened(event: Event<'_>) -> Happened {
    match event {
        Event::Ready => Happened::Ready,
        Event::Message(message) => Happened::Message(message.frames().map(Vec::from).collect()),
        Event::TooLong { len } => Happened::TooLong(len),
        Event::Subscribed => Happened::Subscribed,
        Event::Cancelled => Happened::Cancelled,
        other => panic!("{other:?}"),
    }
}

fn name(kind: ZmtpErrorKind) -> &'static str {
    match kind {
        ZmtpErrorKind::Signature => "Signature",
        ZmtpErrorKind::Version { .. } => "Version",
        ZmtpErrorKind::Mechanism => "Mechanism",
        ZmtpErrorKind::Flags { .. } => "Flags",
        ZmtpErrorKind::Command => "Command",
        ZmtpErrorKind::Handshake => "Handshake",
        ZmtpErrorKind::SocketType => "SocketType",
        ZmtpErrorKind::Refused => "Refused",
        ZmtpErrorKind::HandshakeLength { .. } => "HandshakeLength",
        ZmtpErrorKind::Delimiter => "Delimiter",
        _ => "another",
    }
}
