//! Checks of the daemon: whether it responds, and which process it is.

use std::fs;
use std::time::Instant;

use cortex_std::discovery::{Client, Diagnosis, DiscoveryError, Fault, Topic, default_address};
use cortex_std::inspect::{Probe, bound_by, claimed_by, probe};

use super::finding::Finding;
use crate::failure::Failure;
use crate::listener::socket_path;
use crate::listing;
use crate::output::escaped;
use crate::session::Session;
use crate::time::duration;
use cortex_std::ErrorChain;

const CHECK: &str = "daemon";

/// Checks the daemon; returns the findings, and the topics if it responds.
pub(super) fn check(session: &Session) -> (Vec<Finding>, Option<Vec<Topic>>) {
    let address = escaped(&session.discovery);
    let start = Instant::now();
    let response = session.client().map(|mut client| {
        let topics = listing::topics(&mut client).map_err(|error| unreachable(session, &error));
        (topics, client)
    });
    match response {
        Err(failure) => {
            let reason = match failure {
                Failure::Failed(reason) | Failure::Usage(reason) => reason,
                Failure::ClosedPipe => "no address".to_owned(),
            };
            let advice =
                "give an address such as ipc:///tmp/cortex/discovery.sock or tcp://HOST:5555";
            (vec![Finding::problem(CHECK, reason, advice)], None)
        }
        Ok((Err(finding), _)) => (vec![finding], None),
        Ok((Ok(topics), client)) => {
            let time = duration(start.elapsed().as_secs_f64());
            let text = format!("responds at {address} in {time}, {}", describe(session, &client));
            let mut findings = vec![Finding::ok(CHECK, text)];
            findings.extend(lock_conflict(session));
            if session.discovery != default_address() {
                let default = escaped(&default_address());
                let text = format!("nodes started in this environment use {default}");
                let advice = "set CORTEX_DISCOVERY to the address given to doctor";
                findings.push(Finding::warning("address", text, advice));
            }
            (findings, Some(topics))
        }
    }
}

fn unreachable(session: &Session, error: &DiscoveryError) -> Finding {
    let (text, advice) = match error {
        DiscoveryError::Unreachable { diagnosis, .. } => (
            format!("no daemon responds at {}: {}", diagnosis.address(), diagnosis.reason()),
            match diagnosis.fault() {
                // Its advice is this command.
                Fault::Other(_) => format!(
                    "start one there with `cortex-discovery --address {}`, or correct the address",
                    diagnosis.address()
                ),
                _ => diagnosis.advice(),
            },
        ),
        other => {
            let advice = Diagnosis::of(&session.discovery).advice();
            (ErrorChain(other).to_string(), advice)
        }
    };
    Finding::problem(CHECK, escaped(&text), &advice)
}

/// The implementation of the daemon, and its process if that is known.
fn describe(session: &Session, client: &Client) -> String {
    let kind = match client.epoch() {
        Some(epoch) => format!("a Rust daemon (epoch {epoch:016x})"),
        None => "a Python daemon (it has no epoch)".to_owned(),
    };
    let Some(path) = socket_path(&session.discovery) else { return kind };
    match probe(path) {
        Probe::Alive { pid } => {
            format!("{kind}, {}", process_or_unknown(pid.or_else(|| bound_by(path))))
        }
        _ => kind,
    }
}

/// A problem if the lock of the socket is held by another process than the one that listens.
fn lock_conflict(session: &Session) -> Option<Finding> {
    let path = socket_path(&session.discovery)?;
    let Probe::Alive { pid: Some(listening) } = probe(path) else { return None };
    let claimed = claimed_by(path).filter(|pid| *pid != listening)?;
    let text = format!(
        "{} holds the lock of the address, but {} listens there",
        process(claimed),
        process(listening)
    );
    let advice = "two daemons run: end one of them, or some nodes will not find the others";
    Some(Finding::problem(CHECK, text, advice))
}

/// A process by id and name.
pub(super) fn process(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    match name.trim() {
        "" => format!("process {pid}"),
        name => format!("process {pid} ({})", escaped(name)),
    }
}

/// The process, or words for one whose id is unknown.
pub(super) fn process_or_unknown(pid: Option<u32>) -> String {
    pid.map_or_else(|| "an unknown process".to_owned(), process)
}
