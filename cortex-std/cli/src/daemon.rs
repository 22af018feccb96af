//! `cortex discovery`: the daemon.

use clap::Args;
use cortex_cli::discovery::Discovery;
use serde_json::json;

use crate::failure::{Failure, Outcome, Result};
use crate::output::say_json;
use crate::session::Session;

/// Run the discovery daemon, which tells subscribers where publishers are.
///
/// It is the program cortex-discovery by another name. Rust nodes need none: where nobody listens,
/// one of them is the daemon. Python nodes alone do, and a robot whose daemon shall not depend on
/// any node.
///
/// It ends on Ctrl-C, SIGTERM or a SHUTDOWN request over ipc, and leaves no socket file behind. What
/// is registered by then is kept beside the first ipc socket, for the next daemon there. With --json
/// it writes an object with its addresses once it listens; the log goes to stderr.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex discovery\n  \
    cortex discovery --address ipc:///run/robot/discovery.sock --log-level debug\n  \
    cortex discovery --address ipc:///tmp/cortex/discovery.sock --address tcp://0.0.0.0:5555")]
pub(crate) struct Daemon {
    #[command(flatten)]
    discovery: Discovery,
}

impl Daemon {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let served = self.discovery.run(&session.discovery, |addresses| {
            if session.json {
                let listening = json!({ "listening": addresses, "pid": std::process::id() });
                // The daemon is there, whether anybody reads that or not.
                let _ = say_json(&listening);
            }
        });
        served.map_err(|error| Failure::of(&*error))?;
        Ok(Outcome::Found)
    }
}
