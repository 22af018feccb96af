//! One subscriber to two publishers: FlatBuffers on `telemetry/`, raw images on `cam/`.
//!
//! Terminal 1: `cargo run --release --bin telemetry`
//! Terminal 2: `cargo run --release --bin raw_camera`
//! Terminal 3: `cargo run --release --bin dashboard`
//!
//! Other addresses: `cargo run --release --bin dashboard tcp://127.0.0.1:5603 tcp://127.0.0.1:5604`.
//! Python twin: `dashboard.py` in tests/peers.

use std::error::Error;
use std::pin::pin;

use cortex_std::raw::{RawMessage, RawSubscriber};
use cortex_std::shutdown_signal;
use planus::{SliceWithStartOffset, table_reader::Table};

const ADDRESSES: [&str; 2] =
    ["ipc:///tmp/cortex/telemetry.sock", "ipc:///tmp/cortex/raw_camera.sock"];
/// The message does not contain the shape: both sides must know it.
const SHAPE: [usize; 2] = [240, 320];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut addresses: Vec<_> = std::env::args().skip(1).collect();
    if addresses.is_empty() {
        addresses = ADDRESSES.map(String::from).into();
    }
    let mut receiver = RawSubscriber::connect(&addresses[0])?;
    for address in &addresses[1..] {
        receiver.connect_also(address)?;
    }
    receiver.subscribe(b"telemetry/")?;
    receiver.subscribe(b"cam/")?;
    println!("waiting for {}", addresses.join(" and "));

    let mut end = pin!(shutdown_signal());
    loop {
        let message = tokio::select! {
            message = receiver.recv() => message?,
            ended = &mut end => return Ok(ended?),
        };
        let topic = String::from_utf8_lossy(message.frame(0).unwrap_or_default());
        let text = if topic.starts_with("cam/") { image(&message) } else { telemetry(&message) };
        match text {
            Ok(text) => println!("{topic} {text}"),
            Err(error) => println!("{topic} refused: {error}"),
        }
    }
}

fn image(message: &RawMessage) -> Result<String, Box<dyn Error>> {
    let header: [u8; 4] = message.frame(1).ok_or("no header")?.try_into()?;
    let pixels = message.frame(2).ok_or("no pixels")?;
    if pixels.len() != SHAPE.iter().product() {
        return Err(format!("{} bytes are no {SHAPE:?}", pixels.len()).into());
    }
    let mean = pixels.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / pixels.len() as f64;
    Ok(format!("frame_id={} mean={mean:.1}", u32::from_le_bytes(header)))
}

/// The code that `flatc` would generate for reading telemetry.fbs: checks every offset, copies nothing.
fn telemetry(message: &RawMessage) -> Result<String, Box<dyn Error>> {
    let buffer = message.frame(1).ok_or("no buffer")?;
    let slice = SliceWithStartOffset { buffer, offset_from_start: 0 };
    let table = Table::from_buffer(slice, 0).map_err(|error| error.to_string())?;
    let seq: u32 = table.access(0, "Telemetry", "seq")?.unwrap_or_default();
    let ts: f64 = table.access(1, "Telemetry", "ts")?.unwrap_or_default();
    let temp: f32 = table.access(2, "Telemetry", "temp")?.unwrap_or_default();
    let msg: &str = table.access(3, "Telemetry", "msg")?.unwrap_or_default();
    Ok(format!("seq={seq} ts={ts:.3} temp={temp} msg={msg}"))
}
