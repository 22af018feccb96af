//! `cortex-discovery`: the daemon that tells subscribers where publishers are.

use std::error::Error;
use std::io::IsTerminal;
use std::pin::pin;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use cortex_std::discovery::{ADDRESS_VARIABLE, DEFAULT_ADDRESS, Daemon};
use sd_notify::NotifyState;
use tracing::level_filters::LevelFilter;

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
    /// Where to listen: ipc://PATH or tcp://HOST:PORT; may be given several times.
    #[arg(long, env = ADDRESS_VARIABLE, default_value = DEFAULT_ADDRESS)]
    address: Vec<String>,
    /// How much to log, to stderr.
    #[arg(long, value_enum, ignore_case = true, default_value_t = Level::Info)]
    log_level: Level,
}

/// The levels of Python's logging, and Rust's names for them.
#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Trace,
    Debug,
    Info,
    #[value(alias = "warn")]
    Warning,
    #[value(alias = "critical")]
    Error,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::TRACE,
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warning => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from(arguments.log_level))
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr)
        .init();
    match serve(&arguments.address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cortex-discovery: {}", with_sources(&*error));
            ExitCode::FAILURE
        }
    }
}

fn serve(addresses: &[String]) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Listened for from here on: whoever sees the socket may end this process.
        let mut signal = pin!(cortex_std::shutdown_signal());
        tokio::select! {
            biased;
            signal = &mut signal => return Ok(signal?),
            () = std::future::ready(()) => {}
        }
        let daemon = Daemon::bind_all(addresses)?;
        notify(NotifyState::Ready);
        let stop = daemon.stop_token();
        let mut served = tokio::task::spawn_blocking(move || daemon.run());
        tokio::select! {
            ended = &mut served => return Ok(ended??),
            signal = signal => signal?,
        }
        notify(NotifyState::Stopping);
        stop.stop();
        Ok(served.await??)
    })
}

/// Tells systemd, where that has started this process.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify systemd");
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
