use std::vec::Vec;

use super::*;

const FLAG_MORE: u8 = 1;
const FLAG_COMMAND: u8 = 4;
const SUB: Role<'static> = Role::Sub;
const PUB: Role<'static> = Role::Pub { topic: "/topic" };

fn greeting(minor: u8) -> Vec<u8> {
    let mut greeting = Greeting::BYTES.to_vec();
    greeting[11] = minor;
    greeting
}

fn ready(socket_type: &str) -> Vec<u8> {
    let len = u8::try_from(socket_type.len()).expect("it is short");
    let start = [4, 22 + len, 5];
    let mut ready = [&start[..], b"READY\x0bSocket-Type\0\0\0", &[len]].concat();
    ready.extend_from_slice(socket_type.as_bytes());
    ready
}

fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let len = match u8::try_from(body.len()) {
        Ok(len) => [&[flags][..], &[len]].concat(),
        Err(_) => [&[flags | 2][..], &(body.len() as u64).to_be_bytes()].concat(),
    };
    [&len, body].concat()
}

/// All events as text, up to the first error.
fn events<const N: usize>(
    connection: &mut Connection<'_, [u8; N]>,
    bytes: &[u8],
    step: usize,
) -> (Vec<std::string::String>, Option<ZmtpErrorKind>) {
    let mut all = Vec::new();
    for mut input in bytes.chunks(step) {
        loop {
            match connection.receive(&mut input) {
                Ok(Some(event)) => all.push(std::format!("{event:?}")),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(connection.receive(&mut input), Err(error));
                    return (all, Some(error.kind));
                }
            }
        }
    }
    (all, None)
}

fn connection(role: Role<'static>) -> Connection<'static, [u8; 100]> {
    Connection::new(role, [0; 100]).expect("the buffer suffices")
}

#[test]
fn a_subscriber_receives_messages_from_pieces_of_any_size() {
    let bytes = [
        greeting(1),
        ready("XPUB"),
        frame(FLAG_MORE, b"/t"),
        frame(FLAG_MORE, b""),
        frame(0, b"abc"),
    ]
    .concat();
    for step in 1..bytes.len() {
        let (all, error) = events(&mut connection(SUB), &bytes, step);
        assert_eq!(error, None);
        assert_eq!(all, ["Ready", "Message([[47, 116], [], [97, 98, 99]])"]);
    }
}

#[test]
fn a_publisher_counts_matching_subscriptions_in_both_forms() {
    let subscriptions = [
        (frame(FLAG_COMMAND, b"\x09SUBSCRIBE/topic"), Some(true)),
        (frame(FLAG_COMMAND, b"\x09SUBSCRIBE/other"), None),
        (frame(FLAG_COMMAND, b"\x09SUBSCRIBE/topic/longer"), None),
        (frame(FLAG_COMMAND, &[&b"\x09SUBSCRIBE"[..], &[b'/'; 5000]].concat()), None),
        (frame(0, b"\x01"), Some(true)),
        (frame(0, &[1; 5000]), None),
        (frame(0, b"\x00/to"), Some(false)),
        (frame(FLAG_COMMAND, b"\x06CANCEL/topic"), Some(false)),
        (frame(FLAG_COMMAND, b"\x06CANCEL/topic"), None),
        (frame(FLAG_COMMAND, b"\x07WHATELS"), None),
        (frame(0, b"hello"), None),
    ];
    let mut connection = connection(PUB);
    let (all, _) = events(&mut connection, &[greeting(1), ready("SUB")].concat(), 1);
    assert_eq!(all, ["Ready"]);
    for (bytes, expected) in subscriptions {
        let before = connection.subscriptions;
        let (all, error) = events(&mut connection, &bytes, 3);
        assert_eq!(error, None);
        let expected = expected.map(|more| if more { "Subscribed" } else { "Cancelled" });
        assert_eq!(all, Vec::from_iter(expected), "{bytes:?} after {before}");
    }
    assert!(!connection.is_subscribed());
}

#[test]
fn drops_a_message_beyond_the_buffer_and_receives_the_next() {
    let bytes = [
        greeting(1),
        ready("PUB"),
        frame(FLAG_MORE, b"/t"),
        frame(FLAG_MORE, &[7; 1000]),
        frame(0, b"rest"),
        frame(FLAG_MORE, &[7; 90]),
        frame(0, &[7; 10]),
        frame(0, b"next"),
    ]
    .concat();
    let (all, error) = events(&mut connection(SUB), &bytes, 11);
    assert_eq!(error, None);
    let long = std::format!("TooLong {{ len: {} }}", 2 + 1000 + 4 + 3 * 4);
    let full = std::format!("TooLong {{ len: {} }}", 90 + 10 + 2 * 4);
    assert_eq!(all, ["Ready", &long, &full, "Message([[110, 101, 120, 116]])"]);
}

#[test]
fn a_frame_of_huge_length_takes_no_memory() {
    let mut connection = connection(SUB);
    let claim = [2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let bytes = [&greeting(1)[..], &ready("PUB"), &claim, &[7; 10_000]].concat();
    assert_eq!(events(&mut connection, &bytes, 100).1, None);
    assert_eq!(connection.body_len, 0);
}

#[test]
fn replies_to_every_ping_with_its_context() {
    let mut connection = connection(SUB);
    let bytes = [greeting(1), ready("PUB")].concat();
    assert_eq!(events(&mut connection, &bytes, 64).1, None);
    let greeted = connection.pending().len();
    assert_eq!(greeted, Greeting::LEN + 27);
    connection.written(greeted + 7);
    let ping = frame(FLAG_COMMAND, b"\x04PING\x01\x02context");
    let pong = frame(FLAG_COMMAND, b"\x04PONGcontext");
    const COUNT: usize = 100;
    let bytes = ping.repeat(COUNT);
    for step in [1, 5, 1000, bytes.len()] {
        let mut pongs = Vec::new();
        for mut input in bytes.chunks(step) {
            while !input.is_empty() {
                assert_eq!(connection.receive(&mut input), Ok(None));
                pongs.extend_from_slice(connection.pending());
                connection.written(connection.pending().len());
            }
        }
        assert_eq!(pongs, pong.repeat(COUNT), "in pieces of {step}");
    }
}

#[test]
fn rejects_malformed_greetings_and_frames() {
    let with = |at: usize, byte: u8| {
        let mut greeting = greeting(1);
        greeting[at] = byte;
        greeting
    };
    let after_greeting = |bytes: &[u8]| [&greeting(1)[..], bytes].concat();
    let after_ready = |bytes: &[u8]| [&greeting(1)[..], &ready("PUB"), bytes].concat();
    let handshake_len = ZmtpErrorKind::HandshakeLength { len: u64::MAX, capacity: 100 };
    for (bytes, expected) in [
        (b"GET / HTTP/1.1\r\n".to_vec(), ZmtpErrorKind::Signature),
        (with(9, 0), ZmtpErrorKind::Signature),
        (with(10, 1), ZmtpErrorKind::Version { found: 1 }),
        (with(12, b'P'), ZmtpErrorKind::Mechanism),
        (with(16, b'A'), ZmtpErrorKind::Mechanism),
        (after_greeting(b"\x08\0"), ZmtpErrorKind::Flags { found: 8 }),
        (after_greeting(b"\x05\0"), ZmtpErrorKind::Flags { found: 5 }),
        (after_greeting(b"\0\0"), ZmtpErrorKind::Handshake),
        (after_greeting(&frame(4, b"\x04PING\0\0")), ZmtpErrorKind::Handshake),
        (after_greeting(&frame(4, b"\x05ERROR\x01x")), ZmtpErrorKind::Refused),
        (after_greeting(&frame(4, b"")), ZmtpErrorKind::Command),
        (after_greeting(&frame(4, b"\x05READ")), ZmtpErrorKind::Command),
        (after_greeting(&ready("SUB")), ZmtpErrorKind::SocketType),
        (after_greeting(&ready("")), ZmtpErrorKind::SocketType),
        (after_greeting(&[&[6][..], &[0xff; 8]].concat()), handshake_len),
        (after_ready(&ready("PUB")), ZmtpErrorKind::Handshake),
        (after_ready(&frame(4, b"\x05ERROR\x01x")), ZmtpErrorKind::Refused),
        (after_ready(&frame(4, b"\x04PING")), ZmtpErrorKind::Command),
        (after_ready(b"\xff"), ZmtpErrorKind::Flags { found: 0xff }),
    ] {
        for step in [1, 1000] {
            let error = events(&mut connection(SUB), &bytes, step).1;
            assert_eq!(error, Some(expected), "{bytes:?}");
        }
    }
    let mut client = connection(Role::Req);
    let bytes = [&greeting(1)[..], &ready("REP"), &frame(0, b"no delimiter")].concat();
    assert_eq!(events(&mut client, &bytes, 9).1, Some(ZmtpErrorKind::Delimiter));
}

#[test]
fn returns_no_event_before_its_last_byte() {
    let bytes = [greeting(1), ready("PUB"), frame(0, b"/t")].concat();
    for len in 0..bytes.len() {
        let (all, error) = events(&mut connection(SUB), &bytes[..len], 64);
        assert_eq!(error, None);
        assert_eq!(all.len(), usize::from(len >= bytes.len() - 4), "{len}");
    }
}

#[test]
fn subscribes_in_the_form_of_the_peers_version() {
    for (minor, subscribe, cancel) in [
        (0, &b"\0\x03\x01"[..], &b"\0\x03\0"[..]),
        (1, b"\x04\x0c\x09SUBSCRIBE", b"\x04\x09\x06CANCEL"),
    ] {
        let mut connection = connection(SUB);
        let bytes = [greeting(minor), ready("PUB")].concat();
        assert_eq!(events(&mut connection, &bytes, 64).0, ["Ready"]);
        assert_eq!(connection.subscription_head(2, true), subscribe);
        assert_eq!(connection.subscription_head(2, false), cancel);
    }
}

#[test]
fn rejects_a_buffer_that_is_too_small_for_any_peer() {
    let error = Connection::new(SUB, [0; 10]).expect_err("too small");
    assert_eq!(error.kind, ZmtpErrorKind::BufferTooSmall { needed: 68, capacity: 10 });
    let topic = "/a/very/long/topic/that/is/longer/than/the/handshake/of/a/peer";
    let error = Connection::new(Role::Pub { topic }, [0; 70]).expect_err("too small");
    let needed = topic.len() + SUBSCRIBE_LEN + PREFIX_LEN;
    assert_eq!(error.kind, ZmtpErrorKind::BufferTooSmall { needed, capacity: 70 });
}
