//! The sending process of a pair.

use std::error::Error;

use serde_json::json;

use super::{
    Run, Sent, Setup, Transport, cortex, cpu_seconds, libzmq, monotonic_ns, obey, say,
    sleep_until_ns, unix,
};

/// Sends messages of the length that was set up.
pub(super) trait Send {
    /// Sends one; its payload begins with `stamp` if it can be written.
    fn send(&mut self, stamp: u64) -> Result<(), Box<dyn Error>>;
}

pub(super) fn serve(setup: &Setup) -> Result<(), Box<dyn Error>> {
    let bound = || say("bound", &json!({}));
    let mut sender: Box<dyn Send> = match setup.transport {
        Transport::Cortex => cortex::sender(setup, bound)?,
        Transport::Libzmq => Box::new(libzmq::Sender::new(setup, bound)?),
        Transport::Unix => Box::new(unix::Sender::new(setup, bound)?),
        Transport::Pyzmq => return Err("that one is a script".into()),
    };
    say("ready", &json!({}))?;
    obey(|run| {
        let cpu_seconds = send(&mut *sender, run)?;
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
