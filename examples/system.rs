//! Three nodes in one graph: a sensor measures, a processor smooths, a sink prints both.
//!
//! `cargo run --release --bin system`
//!
//! They could be three programs, in Rust or Python: nodes depend on topics and not on each other. Here
//! they share one thread. Ctrl-C ends all three.
//! Python twin of the sink: `subscriber.py` in tests/peers, with `--message FloatMessage`.

use std::error::Error;
use std::time::Duration;

use cortex_std::Node;
use cortex_std::wire::FloatMessage;

const MEASURED: &str = "/temperature/measured";
const SMOOTHED: &str = "/temperature/smoothed";

fn sensor() -> Result<Node, Box<dyn Error>> {
    let node = Node::builder("sensor").create()?;
    let measured = node.publisher::<FloatMessage>(MEASURED).create()?;
    node.timer(Duration::from_millis(50), async move |tick| {
        let noise = if tick.index % 2 == 0 { 0.5 } else { -0.5 };
        measured.publish(&FloatMessage { data: 20.0 + noise })
    });
    Ok(node)
}

fn processor() -> Result<Node, Box<dyn Error>> {
    let node = Node::builder("processor").create()?;
    let smoothed = node.publisher::<FloatMessage>(SMOOTHED).create()?;
    let mut mean = None;
    node.subscriber::<FloatMessage>(MEASURED).on_message(async move |measured, _| {
        let last = mean.unwrap_or(measured.data);
        mean = Some(last + (measured.data - last) / 10.0);
        smoothed.publish(&FloatMessage { data: last })
    })?;
    Ok(node)
}

fn sink() -> Result<Node, Box<dyn Error>> {
    let node = Node::builder("sink").create()?;
    for topic in [MEASURED, SMOOTHED] {
        node.subscriber::<FloatMessage>(topic).on_message(async move |message, header| {
            println!("{topic} [{}] {:.2}", header.sequence, message.data);
        })?;
    }
    Ok(node)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let (sensor, processor, sink) = (sensor()?, processor()?, sink()?);
    tokio::try_join!(sensor.run(), processor.run(), sink.run())?;
    for (topic, stats) in sink.stats().subscribers {
        println!("{topic}: received {}, lost {}", stats.received, stats.lost);
    }
    Ok(())
}
