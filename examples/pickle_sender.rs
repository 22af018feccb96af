//! PyZMQ's `send_pyobj` and its recipe for compressed pickles, from Rust: plain data as a pickle.
//!
//! - `pyobj`: a pickle;
//! - `zipped`: a pickle, compressed with zlib.
//!
//! Terminal 1: `cargo run --release --bin pickle_sender`
//! Terminal 2: `python tests/peers/pickle_receiver.py`
//!
//! Another address: `cargo run --release --bin pickle_sender 'tcp://*:5602'`. No daemon is needed.
//! Python twin: `pickle_sender.py` in tests/peers. A Python receiver must trust the sender: loading a
//! pickle may run arbitrary code. New programs should use JSON or a Cortex message.

use std::error::Error;
use std::io::Write;
use std::pin::pin;
use std::time::Duration;

use cortex_std::raw::RawPublisher;
use cortex_std::shutdown_signal;
use flate2::{Compression, write::ZlibEncoder};
use serde_json::json;

const ADDRESS: &str = "ipc:///tmp/cortex/pickle.sock";
const PERIOD: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or(ADDRESS.into());
    let sender = RawPublisher::bind(&address)?;
    println!("sending at {}", sender.address());

    let mut end = pin!(shutdown_signal());
    let mut ticks = tokio::time::interval(PERIOD);
    for number in 0_u32.. {
        tokio::select! {
            _ = ticks.tick() => {}
            ended = &mut end => return Ok(ended?),
        }
        let state = json!({"joints": [0.5, -1.25], "name": "arm", "number": number, "on": null});
        let pickle = serde_pickle::to_vec(&state, serde_pickle::SerOptions::new())?;
        sender.send(&[b"pyobj", &pickle])?;

        let mut zipped = ZlibEncoder::new(Vec::new(), Compression::default());
        zipped.write_all(&pickle)?;
        sender.send(&[b"zipped", &zipped.finish()?])?;
    }
    Ok(())
}
