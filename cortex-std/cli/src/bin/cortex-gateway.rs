//! `cortex-gateway`: the verb `gateway` of `cortex` on its own.

#[path = "../gateway/mod.rs"]
mod gateway;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use cortex_std::discovery::{ADDRESS_VARIABLE, DEFAULT_ADDRESS};
use signal_hook::consts::{SIGINT, SIGTERM};

#[derive(Parser)]
#[command(name = "cortex-gateway", version)]
struct Arguments {
    #[command(flatten)]
    gateway: gateway::Gateway,
    /// Where the discovery daemon is.
    #[arg(long, value_name = "ADDRESS", env = ADDRESS_VARIABLE, default_value = DEFAULT_ADDRESS)]
    discovery: String,
    /// Report with one JSON object a line.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let is_over = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Where the system has no handler left the signal does what it always did.
        let _ = signal_hook::flag::register(signal, Arc::clone(&is_over));
    }
    let is_over = || is_over.load(Ordering::Relaxed);
    match arguments.gateway.run(&arguments.discovery, arguments.json, &is_over) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cortex-gateway: {error}");
            ExitCode::FAILURE
        }
    }
}
