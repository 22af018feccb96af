//! Options of all commands: the daemon's address, the output format and the timeout.

use std::time::{Duration, Instant};

use clap::Args;
use cortex_cli::discovery::refuse_inproc;
use cortex_std::discovery::{Client, DiscoveryError, Found, Topic, default_address};

use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::listener::Listener;
use crate::listing;
use crate::output::escaped;

/// Timeout of requests to the daemon. A running daemon responds in milliseconds; if none runs, the
/// user learns it within a second.
const REQUEST_TIMEOUT: Duration = Duration::from_millis(800);
/// The same if a process listens at the daemon's address on this machine: the daemon is only busy.
const LISTENING_TIMEOUT: Duration = Duration::from_secs(3);
/// Time between two lookups of a topic that does not exist yet.
const LOOKUP_INTERVAL: Duration = Duration::from_millis(100);

/// Options of all commands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Session {
    /// Address of the daemon [default: $CORTEX_DISCOVERY or ipc:///tmp/cortex/discovery.sock].
    #[arg(long = "discovery", global = true, value_name = "ADDRESS")]
    address_flag: Option<String>,
    /// The address in use. It is not clap's default of the flag, which every usage would show.
    #[arg(skip = default_address())]
    pub(crate) discovery: String,
    /// Write one JSON object per line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Seconds to wait for a topic that does not exist yet, and for each message.
    ///
    /// By default the command does not wait for a topic, and waits for messages without limit. The
    /// daemon has at least 0.8 seconds to respond, and 3 if a process listens at its address on this
    /// machine.
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,
}

/// Parses a duration in seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| "not a number of seconds from 0 to 1.8e19".to_owned())
}

impl Session {
    /// Replaces the default address of the daemon by that of the flag, if it is given.
    pub(crate) fn apply_address_flag(&mut self) {
        if let Some(address) = self.address_flag.take() {
            self.discovery = address;
        }
    }

    /// Checks that a program can connect to the address.
    pub(crate) fn check_address(&self) -> Result<()> {
        refuse_inproc(&self.discovery).map_err(Failure::Usage)?;
        match self.discovery.starts_with("tcp://*:") {
            true => Err(Failure::Usage(format!(
                "{:?} is an address to listen at: give the daemon's host",
                self.discovery
            ))),
            false => Ok(()),
        }
    }

    /// A client of the daemon.
    pub(crate) fn client(&self) -> Result<Client> {
        let minimum = match Listener::at(&self.discovery).is_alive() {
            Some(true) => LISTENING_TIMEOUT,
            _ => REQUEST_TIMEOUT,
        };
        let timeout = self.timeout.map_or(minimum, |timeout| timeout.max(minimum));
        Ok(Client::connect(&self.discovery, timeout)?)
    }

    /// All topics sorted by name; a shared topic has one entry for each of its publishers.
    pub(crate) fn topics(&self) -> Result<Vec<Topic>> {
        Ok(listing::topics(&mut self.client()?)?)
    }

    /// A topic and its publishers; waits for the first publisher until `--timeout`.
    pub(crate) fn topic(&self, name: &str) -> Result<Found> {
        let end = Instant::now().checked_add(self.timeout.unwrap_or_default());
        let interrupt = Interrupt::get();
        let mut client = self.client()?;
        loop {
            let is_over = end.is_some_and(|end| Instant::now() >= end) || interrupt.is_set();
            match client.look_up(name) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) if is_over => return Err(self.no_publisher(name, &mut client)),
                Err(DiscoveryError::Unreachable { .. }) if !is_over => {}
                Err(error) => return Err(error.into()),
                Ok(None) => {}
            }
            interrupt.wait(LOOKUP_INTERVAL);
        }
    }

    fn no_publisher(&self, name: &str, client: &mut Client) -> Failure {
        let topics = client.list().unwrap_or_default();
        let bare = |name: &str| name.trim_start_matches('/').to_lowercase();
        let mut similar: Vec<_> = topics
            .iter()
            .map(|topic| topic.name.as_str())
            .filter(|other| {
                let (other, name) = (bare(other), bare(name));
                other.contains(&name) || name.contains(&other)
            })
            .collect();
        similar.sort_unstable();
        let mut text = format!("no publisher of {}", escaped(name));
        match (similar.is_empty(), self.timeout) {
            (false, _) => text += &format!("; similar topics: {}", escaped(&similar.join(", "))),
            (true, None) => text += " (--timeout SECONDS waits for one)",
            (true, Some(_)) => {}
        }
        Failure::Failed(text)
    }
}
