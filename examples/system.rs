//! Three nodes with a message of their own: a sensor at 50 Hz, a processor of two topics, and a logger
//! that writes `climate.csv`.
//!
//! In one process: `cargo run --release --bin system`
//! Terminal 1: `cargo run --release --bin system sensor`
//! Terminal 2: `cargo run --release --bin system processor`
//! Terminal 3: `cargo run --release --bin system logger`
//!
//! Nodes depend on topics and not on each other, so they may share a process or not, and start in any
//! order; each could be a Python program. In one process they share one thread. Ctrl-C ends them.
//! Python twin: none.

use std::cell::RefCell;
use std::fs::File;
use std::io::{IsTerminal, LineWriter, Write};
use std::rc::Rc;
use std::time::Duration;

use cortex_std::{Error, Message, Node, Result};

const TEMPERATURE: &str = "/temperature";
const HUMIDITY: &str = "/humidity";
const DEW_POINT: &str = "/dew_point";
const FILE: &str = "climate.csv";

/// In Python: `class Reading(Message)` in the module `climate.msgs`, with these fields.
#[derive(Debug, PartialEq, Message)]
#[cortex(class = "climate.msgs.Reading")]
struct Reading<'a> {
    value: f64,
    unit: &'a str,
}

/// Publishes temperature and humidity 50 times a second.
fn sensor() -> Result<Node> {
    let node = Node::builder("sensor").create()?;
    let temperature = node.publisher::<Reading>(TEMPERATURE).create()?;
    let humidity = node.publisher::<Reading>(HUMIDITY).create()?;
    node.timer(Duration::from_millis(20), async move |tick| {
        let wave = (tick.index as f64 / 50.0).sin();
        humidity.publish(&Reading { value: 50.0 + 10.0 * wave, unit: "%" })?;
        temperature.publish(&Reading { value: 20.0 - 5.0 * wave, unit: "C" })
    });
    Ok(node)
}

/// What the processor knows and computes. It has no socket, so the tests below need none.
#[derive(Default)]
struct Processor {
    humidity: Option<f64>,
}

impl Processor {
    fn on_humidity(&mut self, humidity: &Reading<'_>) {
        self.humidity = Some(humidity.value);
    }

    /// The dew point by the Magnus formula, once the humidity is known.
    fn on_temperature(&self, temperature: &Reading<'_>) -> Option<Reading<'static>> {
        let celsius = temperature.value;
        let gamma = (self.humidity? / 100.0).ln() + 17.62 * celsius / (243.12 + celsius);
        Some(Reading { value: 243.12 * gamma / (17.62 - gamma), unit: "C" })
    }
}

fn processor() -> Result<Node> {
    let node = Node::builder("processor").create()?;
    let dew_points = node.publisher::<Reading>(DEW_POINT).create()?;
    // Callbacks of a node take turns on one thread: what they share needs no lock.
    let processor = Rc::new(RefCell::new(Processor::default()));
    let shared = Rc::clone(&processor);
    node.subscriber::<Reading>(HUMIDITY).on_message(async move |humidity, _header| {
        shared.borrow_mut().on_humidity(&humidity);
    })?;
    node.subscriber::<Reading>(TEMPERATURE).on_message(async move |temperature, header| {
        if let Some(dew_point) = processor.borrow().on_temperature(&temperature) {
            // The time of the measurement instead of the time of now.
            dew_points.publish_at(header.timestamp_ns, &dew_point)?;
        }
        cortex_std::ok()
    })?;
    Ok(node)
}

/// Writes each message of the three topics as a line.
fn logger() -> Result<Node> {
    let node = Node::builder("logger").create()?;
    let mut file = LineWriter::new(File::create(FILE)?);
    writeln!(file, "timestamp_ns,sequence,topic,value,unit")?;
    let file = Rc::new(RefCell::new(file));
    for topic in [TEMPERATURE, HUMIDITY, DEW_POINT] {
        let file = Rc::clone(&file);
        node.subscriber::<Reading>(topic).queue(100).on_message(async move |reading, header| {
            let (time, number) = (header.timestamp_ns, header.sequence);
            let Reading { value, unit } = reading;
            writeln!(file.borrow_mut(), "{time},{number},{topic},{value:.3},{unit}")
        })?;
    }
    println!("logging to {FILE}");
    Ok(node)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    match std::env::args().nth(1).as_deref() {
        None => {
            let (sensor, processor, logger) = (sensor()?, processor()?, logger()?);
            tokio::try_join!(sensor.run(), processor.run(), logger.run())?;
        }
        Some("sensor") => sensor()?.run().await?,
        Some("processor") => processor()?.run().await?,
        Some("logger") => logger()?.run().await?,
        Some(other) => return Err(Error::other(format!("there is no node {other:?}"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dew_point_follows_from_both_topics() {
        let mut processor = Processor::default();
        let temperature = Reading { value: 20.0, unit: "C" };
        assert_eq!(processor.on_temperature(&temperature), None);
        processor.on_humidity(&Reading { value: 100.0, unit: "%" });
        let saturated = processor.on_temperature(&temperature).expect("both are known");
        assert!((saturated.value - 20.0).abs() < 1e-9, "{saturated:?}");
        processor.on_humidity(&Reading { value: 50.0, unit: "%" });
        let dew_point = processor.on_temperature(&temperature).expect("both are known");
        assert!((dew_point.value - 9.26).abs() < 0.01, "{dew_point:?}");
    }
}
