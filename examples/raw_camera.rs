//! Sends raw images behind a `struct` header: `[cam/left]["<I" frame_id][240 x 320 bytes]`.
//!
//! Terminal 1: `cargo run --release --bin telemetry`
//! Terminal 2: `cargo run --release --bin raw_camera`
//! Terminal 3: `cargo run --release --bin dashboard`
//!
//! Another address: `cargo run --release --bin raw_camera 'tcp://*:5604'`. No daemon is needed.
//! Python twin: `raw_camera.py` in tests/peers.
//!
//! The four bytes of header do not contain shape and dtype. A reader that assumes 320 x 240, or 16 bits
//! per pixel, gets the same number of bytes and a wrong picture, which no program can detect. Put both
//! into the metadata, as `pyzmq_sender` and every Cortex message do.

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cortex_std::raw::RawPublisher;
use cortex_std::shutdown_signal;

const ADDRESS: &str = "ipc:///tmp/cortex/raw_camera.sock";
const TOPIC: &[u8] = b"cam/left";
const HEIGHT: usize = 240;
const WIDTH: usize = 320;
const PERIOD: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or(ADDRESS.into());
    let sender = RawPublisher::bind(&address)?;
    println!("sending at {}", sender.address());

    let mut end = pin!(shutdown_signal());
    let mut ticks = tokio::time::interval(PERIOD);
    for frame_id in 0_u32.. {
        tokio::select! {
            _ = ticks.tick() => {}
            ended = &mut end => return Ok(ended?),
        }
        // Python: struct.pack("<I", frame_id).
        let header = frame_id.to_le_bytes();
        let pixels = Arc::new(vec![(frame_id % 256) as u8; HEIGHT * WIDTH]);
        sender.send_from(&[TOPIC, &header], pixels, |pixels| pixels)?;
    }
    Ok(())
}
