//! PyZMQ's `recv_json` and its recipe for arrays, in Rust: prints the messages of a `pyzmq_sender`.
//!
//! Terminal 1: `cargo run --release --bin pyzmq_sender`
//! Terminal 2: `cargo run --release --bin pyzmq_receiver`
//!
//! Another address: `cargo run --release --bin pyzmq_receiver tcp://127.0.0.1:5601`.
//! Python twin: `pyzmq_receiver.py` in tests/peers; `pyzmq_sender.py` feeds this one.

use std::error::Error;
use std::pin::pin;

use cortex_std::raw::{RawMessage, RawSubscriber};
use cortex_std::shutdown_signal;
use cortex_std::wire::ArrayView;
use serde_json::Value;

const ADDRESS: &str = "ipc:///tmp/cortex/pyzmq.sock";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or(ADDRESS.into());
    let mut receiver = RawSubscriber::connect(&address)?;
    receiver.subscribe(b"json")?;
    receiver.subscribe(b"array/")?;
    println!("waiting for {address}");

    let mut end = pin!(shutdown_signal());
    loop {
        let message = tokio::select! {
            message = receiver.recv() => message?,
            ended = &mut end => return Ok(ended?),
        };
        // The sender is not trusted: an unreadable message is reported, and the loop continues.
        match read(&message) {
            Ok(text) => println!("{text}"),
            Err(error) => println!("refused: {error}"),
        }
    }
}

fn read(message: &RawMessage) -> Result<String, Box<dyn Error>> {
    let frames: Vec<_> = message.frames().collect();
    match frames[..] {
        [topic, json] => {
            let value: Value = serde_json::from_slice(json)?;
            Ok(format!("{} {value}", str::from_utf8(topic)?))
        }
        [topic, head, data] => {
            let head: Value = serde_json::from_slice(head)?;
            let shape: Vec<usize> = serde_json::from_value(head["shape"].clone())?;
            let dtype = head["dtype"].as_str().ok_or("no dtype")?;
            // The bytes are not copied. `new` compares their number with the shape.
            let array =
                |code: &str| Ok::<_, Box<dyn Error>>(ArrayView::new(code.parse()?, &shape, data)?);
            let sum: f64 = match dtype {
                "uint8" => array("|u1")?.iter::<u8>()?.map(f64::from).sum(),
                "float32" => array("<f4")?.iter::<f32>()?.map(f64::from).sum(),
                other => return Err(format!("dtype {other}").into()),
            };
            Ok(format!("{} {dtype} {shape:?} sum={sum:.1}", str::from_utf8(topic)?))
        }
        _ => Err(format!("{} frames", frames.len()).into()),
    }
}
