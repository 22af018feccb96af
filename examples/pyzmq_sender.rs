//! PyZMQ's `send_json` and its recipe for arrays, from Rust. The first frame is the topic, as
//! `send_string(topic, SNDMORE)` sends it:
//!
//! - `json`: any value;
//! - `array/copy`, `array/nocopy`: JSON with `dtype` and `shape`, and the raw bytes.
//!
//! Terminal 1: `cargo run --release --bin pyzmq_sender`
//! Terminal 2: `cargo run --release --bin pyzmq_receiver`
//!
//! Another address: `cargo run --release --bin pyzmq_sender 'tcp://*:5601'`. No daemon is needed.
//! Python twin: `pyzmq_sender.py` in tests/peers; `pyzmq_receiver.py` reads this one.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cortex_std::raw::RawPublisher;
use cortex_std::shutdown_signal;
use cortex_std::wire::ArrayView;
use serde_json::json;

const ADDRESS: &str = "ipc:///tmp/cortex/pyzmq.sock";
const PERIOD: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or(ADDRESS.into());
    let sender = RawPublisher::bind(&address)?;
    println!("sending at {}", sender.address());
    let pixels = Arc::new((0..480 * 640).map(|pixel| (pixel % 251) as u8).collect::<Vec<_>>());

    let mut end = pin!(shutdown_signal());
    let mut ticks = tokio::time::interval(PERIOD);
    for number in 0_u32.. {
        tokio::select! {
            _ = ticks.tick() => {}
            ended = &mut end => return Ok(ended?),
        }
        let state =
            json!({"number": number, "pose": {"x": 0.5, "frame": "map"}, "on": [true, null]});
        sender.send(&[b"json", &serde_json::to_vec(&state)?])?;

        // Copied into the message: any borrowed slice works.
        let samples: Vec<f32> = (0..12_u16).map(f32::from).collect();
        let array = ArrayView::from_slice(&samples, &[3, 4])?;
        let head = json!({"dtype": "float32", "shape": array.shape()});
        sender.send(&[b"array/copy", &serde_json::to_vec(&head)?, array.data()])?;

        // Not copied: the message keeps the owner until it is sent.
        let head = json!({"dtype": "uint8", "shape": [480, 640]});
        let head = serde_json::to_vec(&head)?;
        let first: [&[u8]; 2] = [b"array/nocopy", &head];
        sender.send_from(&first, Arc::clone(&pixels), |pixels| pixels)?;
    }
    Ok(())
}
