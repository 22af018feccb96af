//! Sends a message type of your own with a dictionary of dictionaries of arrays, and a tensor.
//!
//! Terminal 1: `cargo run --release --bin perception_sender`
//! Terminal 2: `cargo run --release --bin perception_receiver`
//!
//! Python twin: `perception_sender.py` in tests/peers; `perception_receiver.py` reads this one.

use std::error::Error;
use std::io::IsTerminal;
use std::time::Duration;

use cortex_std::Node;
use cortex_std::wire::{ArrayView, Map, Message, TensorView, Value};

const TOPIC: &str = "/perception";

/// In Python: `class Perception(Message)` in the module `robot.msgs`, with these fields.
#[derive(Message)]
#[cortex(class = "robot.msgs.Perception")]
struct Perception<'a> {
    scene: &'a str,
    objects: Map<'a>,
    features: TensorView<'a>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let node = Node::builder("perception").create()?;
    let scenes = node.publisher::<Perception>(TOPIC).create()?;
    println!("publishing {TOPIC} at {}", scenes.address());

    node.timer(Duration::from_millis(100), async move |_tick| {
        let (corners, mask) = ([1.0_f32, 2.0, 3.0, 4.0], [0_u8, 1, 1, 0, 1, 0]);
        let corners = Value::from(ArrayView::from_slice(&corners, &[4])?);
        let mask = Value::from(ArrayView::from_slice(&mask, &[2, 3])?);
        // Dictionaries are slices of pairs; the arrays in them travel as frames of their own.
        let cup = [("box", corners), ("mask", mask)];
        let table = [("box", corners)];
        let objects = [("cup", Value::from(&cup[..])), ("table", Value::from(&table[..]))];

        let features = [0.5_f32; 6];
        let array = ArrayView::from_slice(&features, &[1, 6])?;
        // `device` is information for the receiver; the bytes come from this memory.
        let features = TensorView { array, device: "cuda:0", requires_grad: true };
        let objects = Map::from(&objects[..]);
        scenes.publish(&Perception { scene: "kitchen", objects, features })?;
        cortex_std::ok()
    });

    node.run().await?;
    Ok(())
}
