//! Bytes of a peer that speaks ZMTP, or does not, in pieces of any size.

#![no_main]

use cortex_wire::zmtp::{Connection, Event, Role, ZmtpError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, input)) = data.split_first() else { return };
    let role = match first % 3 {
        0 => Role::Pub { topic: "/cam/frame" },
        1 => Role::Sub,
        _ => Role::Req,
    };
    let (events, error) = received(role, input, usize::MAX);
    let (again, error_again) = received(role, input, usize::from(first / 3).max(1));
    assert_eq!((again, error_again), (events, error));
});

/// What a peer did, and how it failed.
fn received(role: Role<'_>, input: &[u8], step: usize) -> (Vec<String>, Option<ZmtpError>) {
    let mut connection = Connection::new(role, [0; 160]).expect("the buffer is large enough");
    let mut events = Vec::new();
    for mut piece in input.chunks(step) {
        loop {
            let before = piece.len();
            match connection.receive(&mut piece) {
                Ok(None) => break,
                Ok(Some(event)) => {
                    assert!(piece.len() < before, "an event takes bytes");
                    if let Event::Message(message) = event {
                        assert!(message.frames().map(<[u8]>::len).sum::<usize>() <= 160);
                    }
                    events.push(format!("{event:?}"));
                }
                Err(error) => {
                    assert_eq!(connection.receive(&mut &b"more"[..]), Err(error));
                    assert!(error.offset <= input.len() as u64);
                    return (events, Some(error));
                }
            }
            let pending = connection.pending().len();
            assert!(pending <= 160);
            connection.written(pending);
        }
    }
    (events, None)
}
