//! Bytes of a line, in pieces of any size: what comes whole is sent and received again. The same
//! bytes as a hello.

#![no_main]

use cortex_wire::link::{Event, Hello, Receiver, Sender};
use libfuzzer_sys::fuzz_target;

/// What came whole.
#[derive(Debug, PartialEq)]
enum Said {
    Message(Vec<Vec<u8>>),
    Hello(String, bool),
    Error(String),
}

fuzz_target!(|data: &[u8]| {
    // As if the checksum were right.
    if let Ok(hello) = Hello::decode(data) {
        check(&hello);
    }
    let Some((&step, line)) = data.split_first() else { return };
    let whole = received(line, usize::MAX);
    assert_eq!(received(line, usize::from(step).max(1)), whole);
    // In order, and nothing that was not said.
    let mut sender = Sender::new();
    let mut again = Vec::new();
    let mut messages: Vec<_> = Vec::new();
    for said in whole {
        if let Said::Message(frames) = said {
            let parts: Vec<_> = frames.iter().map(Vec::as_slice).collect();
            sender.message(&parts, |bytes| again.extend_from_slice(bytes));
            messages.push(Said::Message(frames));
        }
    }
    assert_eq!(received(&again, usize::MAX), messages);
});

fn received(line: &[u8], step: usize) -> Vec<Said> {
    let mut receiver = Receiver::new([0; 300]);
    let mut all = Vec::new();
    for mut piece in line.chunks(step) {
        while let Some(result) = receiver.receive(&mut piece) {
            all.push(match result {
                Ok(Event::Message(message)) => {
                    Said::Message(message.frames().map(Vec::from).collect())
                }
                Ok(Event::Hello { hello, is_new }) => {
                    check(&hello);
                    Said::Hello(format!("{hello:?}"), is_new)
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => Said::Error(error.to_string()),
            });
        }
    }
    let stats = receiver.stats();
    assert!(stats.bytes == line.len() as u64 && stats.frames <= all.len() as u64, "{stats:?}");
    all
}

/// Encodes a hello and decodes it again.
fn check(hello: &Hello<'_>) {
    let mut out = vec![0; 1024];
    let again = hello.encode(&mut out).expect("it fits");
    assert_eq!(Hello::decode(again).expect("what we encoded decodes"), *hello);
}
