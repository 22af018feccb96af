//! The publisher process of a pair.

use std::error::Error;

use serde_json::json;

use super::clock::{cpu_seconds, monotonic_ns, sleep_until_ns, spin_until_ns};
use super::protocol::{Run, Sent, serve_requests, write_event};

/// Messages of shorter periods are sent by a thread that does not sleep in between.
const SHORT_PERIOD_NS: u64 = 100_000;

/// Sends messages of the configured length.
pub(super) trait Send {
    /// Sends a message; its payload starts with `stamp`, unless the payload is immutable.
    fn send(&mut self, stamp: u64) -> Result<(), Box<dyn Error>>;
}

/// Handles requests until stdin ends.
pub(super) fn serve(sender: &mut dyn Send) -> Result<(), Box<dyn Error>> {
    write_event("ready", &json!({}))?;
    serve_requests(|run| {
        let cpu_seconds = send(sender, run)?;
        write_event("sent", &Sent { cpu_seconds })
    })
}

/// Sends the messages of a run; returns the CPU time in seconds.
fn send(sender: &mut dyn Send, run: Run) -> Result<f64, Box<dyn Error>> {
    let cpu = cpu_seconds();
    let start = monotonic_ns();
    for index in 0..run.warmup + run.count {
        match run.period_ns {
            0 => {}
            1..SHORT_PERIOD_NS => spin_until_ns(start + index * run.period_ns),
            _ => sleep_until_ns(start + index * run.period_ns),
        }
        sender.send(if run.is_timed { monotonic_ns() } else { 0 })?;
    }
    Ok(cpu_seconds() - cpu)
}
