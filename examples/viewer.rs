//! A viewer that prints number, name and mean of every array on `/cam/frame`, read in place.
//!
//! Terminal 1: `cargo run --release --bin cortex-discovery`
//! Terminal 2: `cargo run --release --bin camera`
//! Terminal 3: `cargo run --release --bin viewer`
//!
//! Python twin: `subscriber.py` in tests/peers; a Python publisher of ArrayMessage feeds this one.

use std::error::Error;
use std::io::IsTerminal;

use cortex_std::Node;
use cortex_std::wire::ArrayMessage;

const TOPIC: &str = "/cam/frame";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let node = Node::builder("viewer").create()?;
    let frames = node.subscriber::<ArrayMessage>(TOPIC).on_message(async |frame, header| {
        // `frame` borrows from the received frames: it is not copied, and is valid only here.
        let pixels = frame.data.iter::<u8>()?;
        let count = pixels.len().max(1);
        let sum: u64 = pixels.map(u64::from).sum();
        let mean = sum as f64 / count as f64;
        println!("[{}] {} mean={mean:.1}", header.sequence, frame.name);
        cortex_std::ok()
    })?;
    println!("waiting for {TOPIC}");

    node.run().await?;
    let stats = frames.stats();
    println!("received {}, lost {}", stats.received, stats.lost);
    Ok(())
}
