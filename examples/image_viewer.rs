//! A viewer of images that shows the aliasing rule: what a message borrows lives in the received
//! frames, is read there, and is copied before it is changed. Whoever is to have it later, or on
//! another thread, gets the sample, which owns the frames.
//!
//! Terminal 1: `cargo run --release --bin cortex-discovery`
//! Terminal 2: `cargo run --release --bin image_camera`
//! Terminal 3: `cargo run --release --bin image_viewer`
//!
//! Python twin: `image_viewer.py` in tests/peers; `image_camera.py` feeds this one. In Python nothing
//! but discipline keeps a callback from holding on to a view, or from writing into it.

use std::error::Error;
use std::sync::mpsc;
use std::thread;

use cortex_std::wire::ImageMessage;
use cortex_std::{Node, Sample};

const TOPIC: &str = "/cam/image";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let node = Node::builder("image_viewer").build()?;

    let (to_worker, samples) = mpsc::channel::<Sample<ImageMessage<'static>>>();
    let worker = thread::spawn(move || {
        for sample in samples {
            let Ok(image) = sample.message() else { continue };
            let brightest = image.data.data().iter().max();
            println!(
                "[{}] elsewhere: brightest={}",
                sample.header().sequence,
                brightest.unwrap_or(&0)
            );
        }
    });

    node.subscriber::<ImageMessage>(TOPIC).on_sample(async move |sample| {
        let image = sample.message()?;
        let number = sample.header().sequence;

        // Read in place. There is no way to write here: the array gives out `&[u8]` only.
        let pixels = image.data.as_slice::<u8>()?;
        let size = format!("{} {}x{}", image.encoding, image.width, image.height);
        println!("[{number}] {size} first={}", pixels.first().unwrap_or(&0));

        // Copied, and then changed.
        let mut negative = image.data.to_vec::<u8>()?;
        negative.iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
        println!("[{number}] negative: first={}", negative.first().unwrap_or(&0));

        // Handed over: the frames move along, no pixel does. With `image` this would not compile.
        to_worker.send(sample)?;
        Ok::<(), Box<dyn Error>>(())
    })?;
    println!("waiting for {TOPIC}");

    node.run().await?;
    // With the node its callback is gone, and with that the sender: the worker comes to its end.
    drop(node);
    worker.join().map_err(|_| "the worker failed")?;
    Ok(())
}
