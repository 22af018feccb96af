//! What all commands share: where the daemon is, how long to wait, and how to answer.

use std::time::{Duration, Instant};

use clap::Args;
use cortex_std::discovery::{Client, DiscoveryError, Found, Topic, default_address};

use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;
use crate::listener;
use crate::output::safe;

/// How long the daemon has for an answer unless said otherwise: what runs answers in
/// milliseconds, and people who forgot to start it shall know at once.
const ANSWER: Duration = Duration::from_millis(800);
/// The same where somebody listens on this machine: it will answer, unless it hangs.
const LISTENING: Duration = Duration::from_secs(3);
/// How often a topic that is not there yet is looked for.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Session {
    /// Where the daemon is [default: $CORTEX_DISCOVERY or ipc:///tmp/cortex/discovery.sock].
    #[arg(long = "discovery", global = true, value_name = "ADDRESS")]
    asked: Option<String>,
    /// The same, once the environment was asked: a default that clap knew would be in every usage.
    #[arg(skip = default_address())]
    pub(crate) discovery: String,
    /// Answer with one JSON object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Seconds to wait for a topic that is not there yet, and for each message.
    ///
    /// Without it a topic is not waited for, and messages are for ever. A daemon has at least 0.8 to
    /// answer, and 3 where somebody listens at its address on this machine.
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
}

/// A duration in seconds, as people write it.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is needed".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// All topics by name, a shared one once for each of its publishers: a list has its first alone.
pub(crate) fn topics(client: &mut Client) -> Result<Vec<Topic>, DiscoveryError> {
    let mut topics = client.list()?;
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    // A daemon without an epoch is Python's, which knows no shared topics.
    if client.epoch().is_none() {
        return Ok(topics);
    }
    let mut all = Vec::with_capacity(topics.len());
    for topic in topics {
        // It may have just gone.
        if let Some(found) = client.look_up(&topic.name)? {
            all.extend(found.publishers);
        }
    }
    Ok(all)
}

/// The publishers of each topic.
pub(crate) fn by_name(topics: &[Topic]) -> impl Iterator<Item = &[Topic]> {
    topics.chunk_by(|a, b| a.name == b.name)
}

impl Session {
    /// Takes the address that was asked for.
    pub(crate) fn settle(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.discovery = asked;
        }
    }

    pub(crate) fn client(&self) -> Result<Client> {
        let answer = match listener::of(&self.discovery).is_alive() {
            Some(true) => LISTENING,
            _ => ANSWER,
        };
        let wait = self.timeout.map_or(answer, |timeout| timeout.max(answer));
        Ok(Client::connect(&self.discovery, wait)?)
    }

    /// All topics by name, a shared one once for each of its publishers.
    pub(crate) fn topics(&self) -> Result<Vec<Topic>> {
        Ok(topics(&mut self.client()?)?)
    }

    /// A topic and who publishes it, waited for if `--timeout` says so.
    pub(crate) fn topic(&self, name: &str) -> Result<Found> {
        let end = Instant::now().checked_add(self.timeout.unwrap_or_default());
        let interrupt = Interrupt::get();
        let mut client = self.client()?;
        loop {
            let is_over = end.is_some_and(|end| Instant::now() >= end) || interrupt.is_set();
            match client.look_up(name) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) if is_over => return Err(self.unknown(name, &mut client)),
                Err(DiscoveryError::Unreachable { .. }) if !is_over => {}
                Err(error) => return Err(error.into()),
                Ok(None) => {}
            }
            interrupt.wait(LOOK);
        }
    }

    fn unknown(&self, name: &str, client: &mut Client) -> Failure {
        let topics = client.list().unwrap_or_default();
        let bare = |name: &str| name.trim_start_matches('/').to_lowercase();
        let mut alike: Vec<_> = topics
            .iter()
            .map(|topic| topic.name.as_str())
            .filter(|other| {
                let (other, name) = (bare(other), bare(name));
                other.contains(&name) || name.contains(&other)
            })
            .collect();
        alike.sort_unstable();
        let mut text = format!("nobody publishes {}", safe(name));
        match (alike.is_empty(), self.timeout) {
            (false, _) => text += &format!("; there is {}", safe(&alike.join(", "))),
            (true, None) => text += " (--timeout SECONDS waits for it)",
            (true, Some(_)) => {}
        }
        Failure::Failed(text)
    }
}
