//! PyZMQ's `recv_pyobj` and its recipe for compressed pickles, in Rust: reads plain data, runs no
//! code, and rejects everything else.
//!
//! Terminal 1: `python tests/peers/pickle_sender.py`
//! Terminal 2: `cargo run --release --bin pickle_receiver`
//!
//! Another address: `cargo run --release --bin pickle_receiver tcp://127.0.0.1:5602`.
//! Python twin: `pickle_receiver.py` in tests/peers.

use std::error::Error;
use std::io::Read;
use std::pin::pin;

use cortex_std::raw::{RawMessage, RawSubscriber};
use cortex_std::shutdown_signal;
use flate2::read::ZlibDecoder;

const ADDRESS: &str = "ipc:///tmp/cortex/pickle.sock";
/// Upper limit of a pickle after decompression, in bytes: a few compressed bytes can expand to many.
const LONGEST: usize = 1 << 20;
/// Upper limit of lists, dictionaries and tuples in a pickle, and so of its nesting.
const MOST_CONTAINERS: usize = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or(ADDRESS.into());
    let mut receiver = RawSubscriber::connect(&address)?;
    receiver.subscribe(b"pyobj")?;
    receiver.subscribe(b"zipped")?;
    println!("waiting for {address}");

    let mut end = pin!(shutdown_signal());
    loop {
        let message = tokio::select! {
            message = receiver.recv() => message?,
            ended = &mut end => return Ok(ended?),
        };
        let topic = String::from_utf8_lossy(message.frame(0).unwrap_or_default());
        match read(&message) {
            Ok(value) => println!("{topic} {value}"),
            Err(error) => println!("{topic} refused: {error}"),
        }
    }
}

fn read(message: &RawMessage) -> Result<serde_json::Value, Box<dyn Error>> {
    let body = message.frame(1).ok_or("no body")?;
    let mut pickle = Vec::new();
    let limit = LONGEST as u64 + 1;
    match message.frame(0) {
        Some(topic) if topic.starts_with(b"zipped") => {
            ZlibDecoder::new(body).take(limit).read_to_end(&mut pickle)?
        }
        _ => body.take(limit).read_to_end(&mut pickle)?,
    };
    if pickle.len() > LONGEST {
        return Err(format!("longer than {LONGEST} bytes").into());
    }
    check(&pickle)?;
    Ok(serde_pickle::from_slice(&pickle, serde_pickle::DeOptions::new())?)
}

/// Checks that a pickle is plain data: no imports, no calls, and references to short texts only, so
/// that its memory is proportional to its length. Python's `pickletools` lists the opcodes.
fn check(pickle: &[u8]) -> Result<(), String> {
    let (mut at, mut containers) = (0, 0);
    // `memo`: for each memoized value, whether it is a short text; `text`: whether the last one is.
    let (mut memo, mut text) = (Vec::new(), false);
    while let Some(&opcode) = pickle.get(at) {
        let field = |len| pickle.get(at + 1..at + 1 + len).ok_or("it ends early");
        let number =
            |len| Ok::<_, &str>(field(len)?.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b)));
        let len = match opcode {
            b'.' if at + 1 == pickle.len() => return Ok(()),
            b'N' | 0x88 | 0x89 | b'a' | b'e' | b's' | b'u' => 0, // None, booleans; append, set
            b']' | b'}' | b')' | b'(' | b't' | 0x85..=0x87 => {
                containers += 1;
                0
            }
            0x94 => {
                memo.push(text);
                0
            }
            b'h' if memo.get(number(1)?) == Some(&true) => 1,
            b'j' if memo.get(number(4)?) == Some(&true) => 4,
            0x80 | b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            0x95 | b'G' => 8, // a frame's length, a float
            0x8a | 0x8c | b'C' => 1 + number(1)?,
            b'X' | b'B' => number(4)?.saturating_add(4),
            _ => return Err(format!("opcode {opcode:#04x} at byte {at} is not plain data")),
        };
        if containers > MOST_CONTAINERS {
            return Err(format!("more than {MOST_CONTAINERS} containers"));
        }
        text = opcode == 0x8c;
        at = at.saturating_add(1).saturating_add(len);
    }
    Err("it ends early".into())
}
