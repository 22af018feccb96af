//! Tensors: weights with a device and a gradient flag, published twenty times a second.
//!
//! `cargo run --release --bin tensors`
//!
//! Nothing here computes on a GPU: `device` names the sender's device, and the bytes travel through
//! CPU memory. Python twin: a subscriber to TensorMessage, which gets a `torch.Tensor` on that device;
//! `subscriber.py` in tests/peers prints the fields.

use std::error::Error;
use std::io::IsTerminal;
use std::time::Duration;

use cortex_std::Node;
use cortex_std::wire::{ArrayView, TensorMessage, TensorView};

const TOPIC: &str = "/policy/weights";
const SHAPE: [usize; 2] = [3, 4];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let node = Node::builder("policy").create()?;
    let published = node.publisher::<TensorMessage>(TOPIC).create()?;
    let mut weights = [0.0_f32; SHAPE[0] * SHAPE[1]];
    node.timer(Duration::from_millis(50), async move |_| {
        weights.iter_mut().for_each(|weight| *weight += 0.5);
        let array = ArrayView::from_slice(&weights, &SHAPE)?;
        let data = TensorView { array, device: "cuda:0", requires_grad: true };
        published.publish(&TensorMessage { data, name: "layer0" })?;
        cortex_std::ok()
    });

    node.subscriber::<TensorMessage>(TOPIC).on_message(async |message, header| {
        let TensorView { array, device, requires_grad } = message.data;
        // `iter` reads any alignment; `as_slice` needs an aligned frame.
        let sum: f32 = array.iter::<f32>()?.sum();
        println!(
            "[{}] {} {:?} on {device}, gradients: {requires_grad}, sum {sum}",
            header.sequence,
            message.name,
            array.shape()
        );
        cortex_std::ok()
    })?;
    node.run().await?;
    Ok(())
}
