//! The daemon as a program: `cortex-discovery`, and `cortex discovery`.

use std::error::Error;
use std::io::IsTerminal;
use std::pin::pin;

use clap::{Args, ValueEnum};
use cortex_std::discovery::Daemon;
use sd_notify::NotifyState;
use tracing::level_filters::LevelFilter;

/// What the daemon is asked by either name.
#[derive(Debug, Args)]
pub struct Discovery {
    /// Where to listen: ipc://PATH or tcp://HOST:PORT; may be given several times [default:
    /// $CORTEX_DISCOVERY or ipc:///tmp/cortex/discovery.sock].
    #[arg(long)]
    address: Vec<String>,
    /// How much to log, to stderr.
    #[arg(long, value_enum, ignore_case = true, default_value_t = Level::Info)]
    log_level: Level,
}

/// The levels of Python's logging, and Rust's names for them.
#[derive(Debug, Clone, Copy, ValueEnum)]
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

impl Discovery {
    /// Serves until Ctrl-C, SIGTERM or a SHUTDOWN request, at `address` unless others were asked
    /// for. `listening` is told where, once somebody could connect.
    ///
    /// # Errors
    ///
    /// When it cannot listen there, or serving failed.
    pub fn run(
        &self,
        address: &str,
        listening: impl FnOnce(&[&str]),
    ) -> Result<(), Box<dyn Error>> {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::from(self.log_level))
            .with_ansi(std::io::stderr().is_terminal() && colours)
            .with_writer(std::io::stderr)
            .init();
        match self.address.as_slice() {
            [] => serve(&[address], listening),
            addresses => serve(addresses, listening),
        }
    }
}

fn serve<A: AsRef<str>>(
    addresses: &[A],
    listening: impl FnOnce(&[&str]),
) -> Result<(), Box<dyn Error>> {
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
        listening(&daemon.addresses().collect::<Vec<_>>());
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
