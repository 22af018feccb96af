//! `cortex-discovery`: the daemon that tells subscribers where publishers are.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use cortex_cli::discovery::Discovery;
use cortex_std::discovery::default_address;

/// Tells subscribers where publishers are. Rust and Python nodes may share one daemon.
///
/// Ends on Ctrl-C, SIGTERM or a SHUTDOWN request over ipc, and leaves no socket file behind. What is
/// registered by then is kept beside the first ipc socket, for the next daemon there.
#[derive(Parser)]
#[command(name = "cortex-discovery", version)]
#[command(after_help = "Examples:\n  \
    cortex-discovery\n  \
    cortex-discovery --address ipc:///run/robot/discovery.sock --log-level debug\n  \
    cortex-discovery --address ipc:///tmp/cortex/discovery.sock --address tcp://0.0.0.0:5555")]
struct Arguments {
    #[command(flatten)]
    discovery: Discovery,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.discovery.run(&default_address(), |_| {}) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cortex-discovery: {}", with_sources(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The error and what caused it, in one line.
fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
