//! Receives a message type of your own with a dictionary of dictionaries of arrays, and a tensor. The
//! dictionaries are not built: they are read in place.
//!
//! Terminal 1: `cargo run --release --bin perception_sender`
//! Terminal 2: `cargo run --release --bin perception_receiver`
//!
//! Python twin: `perception_receiver.py` in tests/peers; `perception_sender.py` feeds this one.

use std::error::Error;
use std::io::IsTerminal;

use cortex_std::Node;
use cortex_std::wire::{ArrayError, ArrayView, Map, Message, TensorView, Value};

const TOPIC: &str = "/perception";

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
    let node = Node::builder("perception_receiver").create()?;
    node.subscriber::<Perception>(TOPIC).on_message(async |message, header| {
        let TensorView { array, device, requires_grad } = message.features;
        let features = format!("{} on {device}, gradient: {requires_grad}", text(array)?);
        println!("[{}] {}: {features}", header.sequence, message.scene);
        for (name, object) in message.objects {
            let Value::Map(parts) = object else { continue };
            for (part, value) in parts {
                let (name, part) = (name.as_str().unwrap_or(""), part.as_str().unwrap_or(""));
                match value {
                    Value::Array(array) => println!("  {name}.{part}: {}", text(array)?),
                    other => println!("  {name}.{part}: {other:?}"),
                }
            }
        }
        cortex_std::ok()
    })?;
    println!("waiting for {TOPIC}");

    node.run().await?;
    Ok(())
}

fn text(array: ArrayView<'_>) -> Result<String, ArrayError> {
    let sum: f64 = match array.iter::<u8>() {
        Ok(items) => items.map(f64::from).sum(),
        Err(_) => array.iter::<f32>()?.map(f64::from).sum(),
    };
    Ok(format!("{} {:?} sum={sum:.1}", array.dtype(), array.shape()))
}
