//! `cortex discovery`.

use clap::Args;
use cortex_cli::discovery::DaemonArgs;
use serde_json::json;

use crate::failure::{Failure, Outcome, Result};
use crate::output::print_json;
use crate::session::Session;

/// Run the discovery daemon, at which publishers register and subscribers look up topics.
///
/// The same as the program cortex-discovery. A graph with Rust nodes does not need it: if no daemon
/// listens, one of the nodes hosts it. A graph of Python nodes alone needs it, and so does a robot
/// whose daemon must not depend on a node.
///
/// The daemon ends on Ctrl-C, SIGTERM, SIGHUP or a SHUTDOWN request over ipc, and deletes its socket files.
/// It saves its registrations beside the first ipc socket, for the next daemon at this address. With
/// --json it writes an object with its addresses once it listens; the log goes to stderr.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex discovery\n  \
    cortex discovery --address ipc:///run/robot/discovery.sock --log-level debug\n  \
    cortex discovery --address ipc:///tmp/cortex/discovery.sock --address tcp://0.0.0.0:5555")]
pub(crate) struct Daemon {
    #[command(flatten)]
    daemon: DaemonArgs,
}

impl Daemon {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let result = self.daemon.run(&session.discovery, |addresses| {
            if session.json {
                let listening = json!({ "listening": addresses, "pid": std::process::id() });
                // The daemon runs even if its stdout is closed.
                let _ = print_json(&listening);
            }
        });
        result.map_err(|error| Failure::of(&*error))?;
        Ok(Outcome::Found)
    }
}
