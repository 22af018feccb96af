//! The daemon: whether it answers, and whose it is.

use std::fs;
use std::path::Path;
use std::time::Instant;

use cortex_std::discovery::{Client, DiscoveryError, Topic, default_address};
use cortex_std::inspect::{Probe, claimed_by, probe};

use super::Finding;
use crate::failure::with_sources;
use crate::output::safe;
use crate::session::{self, Session};

const CHECK: &str = "daemon";

/// What is to be said of the daemon, and the topics if it answers.
pub(crate) fn check(session: &Session) -> (Vec<Finding>, Option<Vec<Topic>>) {
    let address = safe(&session.discovery);
    let start = Instant::now();
    let asked = session.client().map(|mut client| {
        let topics = session::topics(&mut client).map_err(|error| unreachable(session, &error));
        (topics, client)
    });
    match asked {
        Err(failure) => {
            let why = match failure {
                crate::failure::Failure::Failed(why) => why,
                _ => "no address".to_owned(),
            };
            let advice =
                "give an address such as ipc:///tmp/cortex/discovery.sock or tcp://HOST:5555";
            (vec![Finding::problem(CHECK, why, advice)], None)
        }
        Ok((Err(finding), _)) => (vec![finding], None),
        Ok((Ok(topics), client)) => {
            let time = crate::render::duration(start.elapsed().as_secs_f64());
            let text = format!("answers at {address} in {time}, {}", whose(session, &client));
            let mut findings = vec![Finding::ok(CHECK, text)];
            findings.extend(foreign(session));
            if session.discovery != default_address() {
                let text = format!("nodes that are started here ask {}", safe(&default_address()));
                let advice = "set CORTEX_DISCOVERY to the address that was given here";
                findings.push(Finding::warning("address", text, advice));
            }
            (findings, Some(topics))
        }
    }
}

/// The socket file behind an ipc address.
pub(crate) fn socket_path(address: &str) -> Option<&Path> {
    address.strip_prefix("ipc://").filter(|path| !path.starts_with('@')).map(Path::new)
}

fn unreachable(session: &Session, error: &DiscoveryError) -> Finding {
    let start = "start one with cortex-discovery, nothing has to be cleaned up; or name another by CORTEX_DISCOVERY";
    let text = match error {
        DiscoveryError::Unreachable { address } => format!("nobody answers at {}", safe(address)),
        other => with_sources(other),
    };
    let Some(path) = socket_path(&session.discovery) else {
        return Finding::problem(CHECK, text, "start one there, or look for a firewall");
    };
    match (probe(path), claimed_by(path)) {
        (Probe::Alive { pid }, _) => {
            let who = pid.map_or_else(|| "somebody".to_owned(), process);
            let text = format!("{who} listens at {} and does not answer", path.display());
            Finding::problem(
                CHECK,
                text,
                "it hangs, was stopped, or is no daemon: end it and start one",
            )
        }
        (Probe::Absent, Some(pid)) if is_running(pid) => {
            let text = format!(
                "{} has claimed {}, but its socket file is gone",
                process(pid),
                path.display()
            );
            Finding::problem(CHECK, text, "somebody deleted the file: restart that daemon")
        }
        (Probe::Refused, _) => {
            let text = format!("nobody serves {}: its daemon died", path.display());
            Finding::problem(CHECK, text, start)
        }
        _ => Finding::problem(CHECK, text, start),
    }
}

fn whose(session: &Session, client: &Client) -> String {
    let kind = match client.epoch() {
        Some(epoch) => format!("a Rust daemon (epoch {epoch:016x})"),
        None => "a Python daemon (it tells no epoch)".to_owned(),
    };
    let Some(path) = socket_path(&session.discovery) else { return kind };
    match probe(path) {
        Probe::Alive { pid: Some(pid) } => format!("{kind}, {}", process(pid)),
        _ => kind,
    }
}

/// Where the lock names another process than the one that listens.
fn foreign(session: &Session) -> Option<Finding> {
    let path = socket_path(&session.discovery)?;
    let Probe::Alive { pid: Some(listening) } = probe(path) else { return None };
    let claimed = claimed_by(path).filter(|pid| *pid != listening && is_running(*pid))?;
    let text = format!(
        "{} has claimed the address, but {} listens there",
        process(claimed),
        process(listening)
    );
    let advice = "two daemons: end one of them, or some nodes will not find the others";
    Some(Finding::problem(CHECK, text, advice))
}

/// A process as people know it.
pub(crate) fn process(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    match name.trim() {
        "" => format!("process {pid}"),
        name => format!("process {pid} ({})", safe(name)),
    }
}

fn is_running(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
