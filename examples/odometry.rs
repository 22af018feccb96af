//! The node of the book's chapter on migrating: sums up wheel speeds, and publishes the distance that
//! the robot has driven.
//!
//! Terminal 1: `cargo run --release --bin cortex-discovery`
//! Terminal 2: `cargo run --release --bin odometry`
//! Terminal 3: `python tests/peers/wheels.py`
//!
//! Python twin: the node at the chapter's beginning; `wheels.py` in tests/peers is its peer.

use std::cell::Cell;
use std::error::Error;
use std::io::IsTerminal;
use std::rc::Rc;
use std::time::Duration;

use cortex_std::Node;
use cortex_std::wire::{FloatMessage, Message, TypedArray};

/// The same class as in Python: same name, same fields in the same order.
#[derive(Message)]
#[cortex(class = "robot.msgs.WheelState")]
struct WheelState<'a> {
    speeds: TypedArray<'a, f64>,
    period: f64,
    #[cortex(default)]
    frame_id: &'a str,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let node = Node::builder("odometry").create()?;
    // Callbacks of a node take turns on one thread: no lock is needed.
    let distance = Rc::new(Cell::new(0.0));

    let sum = Rc::clone(&distance);
    node.subscriber::<WheelState>("/wheels").on_message(async move |wheels, header| {
        let count = wheels.speeds.item_count().max(1) as f64;
        let mean = wheels.speeds.items().sum::<f64>() / count;
        sum.set(sum.get() + mean * wheels.period);
        println!("[{}] {} {mean:.2} m/s", header.sequence, wheels.frame_id);
    })?;

    let odometry = node.publisher::<FloatMessage>("/odometry").create()?;
    node.timer(Duration::from_millis(100), async move |_tick| {
        odometry.publish(&FloatMessage { data: distance.get() })
    });

    node.run().await?;
    Ok(())
}
