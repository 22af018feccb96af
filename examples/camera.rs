//! A camera that publishes a picture of 480 x 640 pixels on `/cam/frame`, 30 times a second.
//!
//! Terminal 1: `cargo run --release --bin cortex-discovery`
//! Terminal 2: `cargo run --release --bin camera`
//! Terminal 3: `cargo run --release --bin viewer`
//!
//! Python twin: `publisher.py` in tests/peers. A Python subscriber to ArrayMessage receives from it.

use std::error::Error;
use std::io::IsTerminal;
use std::time::Duration;

use cortex_std::Node;
use cortex_std::wire::{ArrayMessage, ArrayView};

const TOPIC: &str = "/cam/frame";
const SHAPE: [usize; 3] = [480, 640, 3];
const FRAMES_PER_SECOND: u32 = 30;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let node = Node::builder("camera").create()?;
    let frames = node.publisher::<ArrayMessage>(TOPIC).create()?;
    println!("publishing {TOPIC} at {}", frames.address());

    let mut pixels = vec![0_u8; SHAPE.iter().product()];
    node.timer(Duration::from_secs(1) / FRAMES_PER_SECOND, async move |tick| {
        // Each frame is brighter than the last: the mean that the viewer prints rises.
        pixels.fill((tick.index % 256) as u8);
        let name = format!("f{}", tick.index);
        let data = ArrayView::from_slice(&pixels, &SHAPE)?;
        let frame = ArrayMessage { data, name: &name, frame_id: "camera" };
        frames.publish(&frame)?;
        cortex_std::ok()
    });

    node.run().await?;
    Ok(())
}
