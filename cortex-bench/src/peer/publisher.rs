//! The sending process of a pair.

use std::error::Error;

use serde_json::json;

use super::clock::{cpu_seconds, monotonic_ns, sleep_until_ns};
use super::protocol::{Run, Sent, obey, say};

/// Sends messages of the length that was set up.
pub(super) trait Send {
    /// Sends one; its payload begins with `stamp` if it can be written.
    fn send(&mut self, stamp: u64) -> Result<(), Box<dyn Error>>;
}

/// Sends when told to, until stdin ends.
pub(super) fn serve(sender: &mut dyn Send) -> Result<(), Box<dyn Error>> {
    say("ready", &json!({}))?;
    obey(|run| {
        let cpu_seconds = send(sender, run)?;
        say("sent", &Sent { cpu_seconds })
    })
}

fn send(sender: &mut dyn Send, run: Run) -> Result<f64, Box<dyn Error>> {
    let cpu = cpu_seconds();
    let start = monotonic_ns();
    for index in 0..run.warmup + run.count {
        if run.period_ns > 0 {
            sleep_until_ns(start + index * run.period_ns);
        }
        sender.send(if run.is_timed { monotonic_ns() } else { 0 })?;
    }
    Ok(cpu_seconds() - cpu)
}
