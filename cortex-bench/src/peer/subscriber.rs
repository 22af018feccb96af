//! The subscriber process of a pair.

use std::error::Error;

use serde_json::json;

use super::clock::cpu_seconds;
use super::inbox::{Inbox, Received};
use super::protocol::{Setup, serve_requests, write_event};

/// Handles requests until stdin ends.
pub(super) fn serve(setup: &Setup, inbox: &Inbox) -> Result<(), Box<dyn Error>> {
    write_event("ready", &json!({}))?;
    let subscribers = u64::try_from(setup.subscribers)?;
    serve_requests(|run| {
        inbox.start(run, subscribers);
        let before = cpu_seconds();
        write_event("armed", &json!({}))?;
        let (count, seconds, ages_us) = inbox.wait();
        let cpu_seconds = cpu_seconds() - before;
        write_event("received", &Received { count, seconds, ages_us, cpu_seconds })
    })
}
