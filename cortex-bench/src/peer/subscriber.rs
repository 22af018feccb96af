//! The receiving process of a pair.

use std::error::Error;

use serde_json::json;

use super::clock::cpu_seconds;
use super::inbox::{Inbox, Received};
use super::protocol::{Setup, obey, say};

/// Says what came into the inbox, until stdin ends.
pub(super) fn serve(setup: &Setup, inbox: &Inbox) -> Result<(), Box<dyn Error>> {
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
