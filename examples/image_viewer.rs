//! A viewer of images that shows the aliasing rule: a message borrows from the received frames. Read
//! it in place, and copy before you modify. To keep a message, or to pass it to another thread, move
//! the sample, which owns the frames.
//!
//! Terminal 1: `cargo run --release --bin cortex-discovery`
//! Terminal 2: `cargo run --release --bin image_camera`
//! Terminal 3: `cargo run --release --bin image_viewer`
//!
//! Python twin: `image_viewer.py` in tests/peers; `image_camera.py` feeds this one. Python does not
//! prevent a callback from keeping a view, or from writing into it.

use std::error::Error;
use std::io::IsTerminal;
use std::sync::mpsc;
use std::thread;

use cortex_std::wire::ImageMessage;
use cortex_std::{Node, Sample};

const TOPIC: &str = "/cam/image";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let node = Node::builder("image_viewer").create()?;

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

        // Read in place. Writing is impossible: the array returns `&[u8]` only.
        let pixels = image.data.as_slice::<u8>()?;
        let size = format!("{} {}x{}", image.encoding, image.width, image.height);
        println!("[{number}] {size} first={}", pixels.first().unwrap_or(&0));

        // Copied, and then modified.
        let mut negative = image.data.to_vec::<u8>()?;
        negative.iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
        println!("[{number}] negative: first={}", negative.first().unwrap_or(&0));

        // Moved to the worker, without a copy of the pixels. Sending `image` would not compile.
        to_worker.send(sample).map_err(cortex_std::Error::other)
    })?;
    println!("waiting for {TOPIC}");

    node.run().await?;
    // Dropping the node drops its callback and with it `to_worker`, so the worker ends.
    drop(node);
    worker.join().map_err(|_| "the worker failed")?;
    Ok(())
}
