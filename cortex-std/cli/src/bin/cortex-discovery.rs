//! `cortex-discovery`: the discovery daemon.

use std::process::ExitCode;

use clap::Parser;
use cortex_cli::discovery::DaemonArgs;
use cortex_std::ErrorChain;
use cortex_std::discovery::default_address;

/// The discovery daemon, at which publishers register and subscribers look up topics. Rust and
/// Python nodes may share one daemon.
///
/// Ends on Ctrl-C, SIGTERM, SIGHUP or a SHUTDOWN request over ipc, and deletes its socket files. Saves its
/// registrations beside the first ipc socket, for the next daemon at this address.
#[derive(Parser)]
#[command(name = "cortex-discovery", version)]
#[command(after_help = "Examples:\n  \
    cortex-discovery\n  \
    cortex-discovery --address ipc:///run/robot/discovery.sock --log-level debug\n  \
    cortex-discovery --address ipc:///tmp/cortex/discovery.sock --address tcp://0.0.0.0:5555")]
struct Arguments {
    #[command(flatten)]
    daemon: DaemonArgs,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.daemon.run(&default_address(), |_| {}) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cortex-discovery: {}", ErrorChain(&*error));
            ExitCode::FAILURE
        }
    }
}
