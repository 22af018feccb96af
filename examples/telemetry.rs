//! FlatBuffers over ZeroMQ: sends the `Telemetry` of telemetry.fbs on `telemetry/arm`, as two frames:
//! topic and buffer.
//!
//! Terminal 1: `cargo run --release --bin telemetry`
//! Terminal 2: `cargo run --release --bin raw_camera`
//! Terminal 3: `cargo run --release --bin dashboard`
//!
//! Another address: `cargo run --release --bin telemetry 'tcp://*:5603'`. No daemon is needed.
//! Python twin: `telemetry.py` in tests/peers.

use std::error::Error;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cortex_std::raw::RawPublisher;
use cortex_std::shutdown_signal;
use flatbuffers::FlatBufferBuilder;

const ADDRESS: &str = "ipc:///tmp/cortex/telemetry.sock";
const TOPIC: &[u8] = b"telemetry/arm";
const PERIOD: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or(ADDRESS.into());
    let sender = RawPublisher::bind(&address)?;
    println!("sending at {}", sender.address());

    let mut builder = FlatBufferBuilder::new();
    let mut end = pin!(shutdown_signal());
    let mut ticks = tokio::time::interval(PERIOD);
    for seq in 0.. {
        tokio::select! {
            _ = ticks.tick() => {}
            ended = &mut end => return Ok(ended?),
        }
        let ts = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        let temp = 36.5 + (seq % 4) as f32 * 0.25;
        // The builder keeps its memory; the frame is copied from it.
        let buffer = build(&mut builder, seq, ts, temp, "fine");
        sender.send(&[TOPIC, buffer])?;
        // No subscriber at this address subscribes to it, so it is not transmitted.
        sender.send(&[b"log/arm", b"a line of text"])?;
    }
    Ok(())
}

/// The code that `flatc --rust` would generate for writing telemetry.fbs: field n has slot 4 + 2 n.
fn build<'a>(
    fb: &'a mut FlatBufferBuilder<'_>,
    seq: u32,
    ts: f64,
    temp: f32,
    msg: &str,
) -> &'a [u8] {
    fb.reset();
    let msg = fb.create_string(msg);
    let table = fb.start_table();
    fb.push_slot(6, ts, 0.0);
    fb.push_slot_always(10, msg);
    fb.push_slot(8, temp, 0.0);
    fb.push_slot(4, seq, 0);
    let table = fb.end_table(table);
    fb.finish(table, None);
    fb.finished_data()
}
