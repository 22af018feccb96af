//! Without tokio: a thread timer publishes, a thread with a callback counts, and `main` reads.
//!
//! `cargo run --release --bin blocking`
//!
//! The program also compiles with `default-features = false`, that is with the feature `tokio` off.
//! Ctrl-C ends it.
//! Python twin: `subscriber.py` in tests/peers, with `--topic /ticks --message FloatMessage`.

use std::error::Error;
use std::io::IsTerminal;
use std::time::Duration;

use cortex_std::wire::FloatMessage;
use cortex_std::{Node, Queue, ReceiveError, ThreadOptions};

const TOPIC: &str = "/ticks";

fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let node = Node::builder("blocking").create()?;
    let ticks = node.publisher::<FloatMessage>(TOPIC).create()?;
    let _timer = node
        .timer_builder(Duration::from_millis(20))
        .thread(ThreadOptions::named("ticks"))
        .on_thread(move |tick| {
            let millis = tick.late.as_secs_f64() * 1e3;
            ticks.publish(&FloatMessage { data: millis })
        })?;

    // One subscriber has a callback on a thread, and gets only the newest message.
    let latest = node
        .subscriber::<FloatMessage>(TOPIC)
        .queue(Queue::Latest)
        .thread(ThreadOptions::named("latest"))
        .on_thread(|tick, header| {
            println!("latest [{}] {:.3} ms late", header.sequence, tick.data)
        })?;

    // Another one receives every message on a thread of the node, which ends with the node.
    let mut all = node.subscriber::<FloatMessage>(TOPIC).queue(100).create()?;
    let counted = all.handle();
    node.spawn_thread(ThreadOptions::named("all"), move |_stop| {
        loop {
            match all.blocking_recv() {
                Ok(sample) => println!("all [{}]", sample.header().sequence),
                Err(ReceiveError::Closed) => return,
                Err(error) => return eprintln!("{error}"),
            }
        }
    })?;

    node.spin()?;
    println!(
        "received {}, of which {} as the latest",
        counted.stats().received,
        latest.stats().received
    );
    Ok(())
}
