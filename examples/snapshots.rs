//! Images through a channel to a thread, which computes with `ndarray` and saves a PNG.
//!
//! Terminal 1: `cargo run --release --bin image_camera`
//! Terminal 2: `cargo run --release --bin snapshots`
//!
//! A sample owns its frames, so it may move to another thread; no pixel is copied before the PNG. The
//! channel is bounded: while the thread is busy, the node drops images instead of collecting them.
//! `cortex-std` has the feature `ndarray`.
//! Python twin: none; `image_camera.py` in tests/peers feeds this one.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, IsTerminal};
use std::sync::mpsc::{TrySendError, sync_channel};
use std::thread;

use cortex_std::ndarray::{Ix2, s};
use cortex_std::wire::ImageMessage;
use cortex_std::{Node, Queue, Sample};

const TOPIC: &str = "/cam/image";
const FILE: &str = "snapshot.png";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let node = Node::builder("snapshots").create()?;

    let (to_writer, samples) = sync_channel::<Sample<ImageMessage<'static>>>(4);
    let writer = thread::spawn(move || {
        for sample in samples {
            match save(&sample) {
                Ok(line) => println!("[{}] {line}", sample.header().sequence),
                Err(error) => eprintln!("[{}] {error}", sample.header().sequence),
            }
        }
    });
    node.subscriber::<ImageMessage>(TOPIC).queue(Queue::Latest).on_sample(async move |sample| {
        match to_writer.try_send(sample) {
            Ok(()) | Err(TrySendError::Full(_)) => cortex_std::ok(),
            Err(stopped) => Err(cortex_std::Error::other(stopped)),
        }
    })?;
    println!("waiting for {TOPIC}");

    node.run().await?;
    // Dropping the node drops its callback and with it `to_writer`, so the thread ends.
    drop(node);
    writer.join().map_err(|_| "the writer failed")?;
    Ok(())
}

/// Saves every second pixel of every second row, in place of the last picture.
fn save(sample: &Sample<ImageMessage<'static>>) -> Result<String, Box<dyn Error>> {
    let image = sample.message()?;
    // A view of the received bytes; a copy only where they are not aligned.
    let pixels = image.data.to_ndarray::<u8>()?.into_dimensionality::<Ix2>()?;
    let half = pixels.slice(s![..;2, ..;2]);

    let file = BufWriter::new(File::create(FILE)?);
    let (height, width) = half.dim();
    let mut encoder = png::Encoder::new(file, u32::try_from(width)?, u32::try_from(height)?);
    encoder.set_color(png::ColorType::Grayscale);
    let mut png = encoder.write_header()?;
    png.write_image_data(&half.iter().copied().collect::<Vec<_>>())?;
    png.finish()?;
    Ok(format!("{FILE} {width}x{height} mean={:.1}", half.mapv(f64::from).mean().unwrap_or(0.0)))
}
