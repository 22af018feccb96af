//! The daemon as a program: `cortex-discovery` and `cortex discovery`.

use std::error::Error;
use std::io::IsTerminal;
use std::pin::pin;

use clap::{Args, ValueEnum};
use cortex_std::discovery::Daemon;
use sd_notify::NotifyState;
use tracing::level_filters::LevelFilter;

/// Command-line arguments of the daemon.
#[derive(Debug, Args)]
pub struct DaemonArgs {
    /// Address to listen at: ipc://PATH or tcp://HOST:PORT; may be given several times [default:
    /// $CORTEX_DISCOVERY or ipc:///tmp/cortex/discovery.sock].
    #[arg(long)]
    address: Vec<String>,
    /// Level of the log, which goes to stderr.
    #[arg(long, value_enum, ignore_case = true, default_value_t = Level::Info)]
    log_level: Level,
}

/// Log levels, with the names of Python's logging as aliases.
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

impl DaemonArgs {
    /// Runs the daemon until Ctrl-C, SIGTERM, SIGHUP or a SHUTDOWN request, at `--address` or else at
    /// `default_address`. Calls `on_listening` with the bound addresses once clients can connect.
    ///
    /// # Errors
    ///
    /// If an address cannot be bound, or the daemon fails.
    pub fn run(
        &self,
        default_address: &str,
        on_listening: impl FnOnce(&[&str]),
    ) -> Result<(), Box<dyn Error>> {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::from(self.log_level))
            .with_ansi(std::io::stderr().is_terminal() && colours)
            .with_writer(std::io::stderr)
            .init();
        match self.address.as_slice() {
            [] => serve(&[default_address], on_listening),
            addresses => serve(addresses, on_listening),
        }
    }
}

/// Refuses an address that exists within one process only, where a program finds or serves no other.
///
/// # Errors
///
/// If it is one.
pub fn refuse_inproc(address: &str) -> Result<(), String> {
    match address.starts_with("inproc://") {
        true => Err(format!(
            "the address {address:?} exists within one process only: give ipc://PATH or tcp://HOST:PORT"
        )),
        false => Ok(()),
    }
}

fn serve<A: AsRef<str>>(
    addresses: &[A],
    on_listening: impl FnOnce(&[&str]),
) -> Result<(), Box<dyn Error>> {
    addresses.iter().try_for_each(|address| refuse_inproc(address.as_ref()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // The handlers are installed before the socket file exists: a process that sees the file may
        // send a signal.
        let mut signal = pin!(cortex_std::shutdown_signal());
        tokio::select! {
            biased;
            signal = &mut signal => return Ok(signal?),
            () = std::future::ready(()) => {}
        }
        let daemon = Daemon::bind_all(addresses)?;
        on_listening(&daemon.addresses().collect::<Vec<_>>());
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

/// Notifies systemd, if it started this process.
fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}
