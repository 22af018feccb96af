//! A camera that publishes an `ImageMessage` on `/cam/image`, 10 times a second.
//!
//! Terminal 1: `cargo run --release --bin cortex-discovery`
//! Terminal 2: `cargo run --release --bin image_camera`
//! Terminal 3: `cargo run --release --bin image_viewer`
//!
//! Python twin: `image_camera.py` in tests/peers; `image_viewer.py` receives from this one.

use std::error::Error;
use std::io::IsTerminal;
use std::time::Duration;

use cortex_std::Node;
use cortex_std::wire::ImageMessage;

const TOPIC: &str = "/cam/image";
const HEIGHT: usize = 240;
const WIDTH: usize = 320;
/// Any text that both sides agree on; the names of ROS are usual.
const ENCODING: &str = "bayer_rggb8";
const PERIOD: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let node = Node::builder("image_camera").create()?;
    let images = node.publisher::<ImageMessage>(TOPIC).create()?;
    println!("publishing {TOPIC} at {}", images.address());

    node.timer(PERIOD, async move |tick| {
        // The loan is the frame that is sent: no copy is made. `publish` would copy once.
        let mut pixels = images.loan::<u8>(&[HEIGHT, WIDTH])?;
        pixels.fill((tick.index % 200) as u8);
        pixels[0] = 250;
        // `new` takes width and height from the shape.
        pixels.publish(|data| ImageMessage::new(data, ENCODING))?;
        cortex_std::ok()
    });

    node.run().await?;
    Ok(())
}
