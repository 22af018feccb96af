//! The receiving process of a pair.

use std::error::Error;

use serde_json::json;

use super::inbox::{Inbox, Received};
use super::{Setup, Transport, cortex, cpu_seconds, libzmq, obey, say, unix};

pub(super) fn serve(setup: &Setup) -> Result<(), Box<dyn Error>> {
    let inbox = Inbox::default();
    // Receives on threads of its own until the process ends.
    match setup.transport {
        Transport::Cortex => cortex::receive(setup, &inbox)?,
        Transport::Libzmq => libzmq::receive(setup, &inbox)?,
        Transport::Unix => unix::receive(setup, &inbox)?,
        Transport::Pyzmq => return Err("that one is a script".into()),
    }
    say("ready", &json!({}))?;
    let subscribers = u64::try_from(setup.subscribers)?;
    obey(|run| {
        inbox.expect(run, subscribers);
        let before = cpu_seconds();
        say("armed", &json!({}))?;
        let (count, seconds, ages_us) = inbox.wait();
        let cpu_seconds = cpu_seconds() - before;
        say("received", &Received { count, seconds, ages_us, cpu_seconds })
    })
}
