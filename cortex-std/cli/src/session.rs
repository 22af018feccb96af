//! What all commands share: where the daemon is, how long to wait, and how to answer.

use std::time::{Duration, Instant};

use clap::Args;
use cortex_std::discovery::{ADDRESS_VARIABLE, Client, DEFAULT_ADDRESS, DiscoveryError, Topic};

use crate::failure::{Failure, Result};
use crate::interrupt::Interrupt;

/// How long the daemon has for an answer unless said otherwise: what runs answers in
/// milliseconds, and people who forgot to start it shall know at once.
const ANSWER: Duration = Duration::from_millis(800);
/// How often a topic that is not there yet is looked for.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Session {
    /// Where the discovery daemon is.
    #[arg(long, global = true, value_name = "ADDRESS", env = ADDRESS_VARIABLE, default_value = DEFAULT_ADDRESS)]
    pub(crate) discovery: String,
    /// Answer with one JSON object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Seconds to wait for a topic that is not there yet, and for each message [default: not at all
    /// for a topic, for ever for messages]; the daemon has at least 0.8 to answer.
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
}

/// A duration in seconds, as people write it.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is needed".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

impl Session {
    pub(crate) fn client(&self) -> Result<Client> {
        let wait = self.timeout.map_or(ANSWER, |timeout| timeout.max(ANSWER));
        Ok(Client::connect(&self.discovery, wait)?)
    }

    /// All topics, by name.
    pub(crate) fn topics(&self) -> Result<Vec<Topic>> {
        let mut topics = self.client()?.list()?;
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// A topic, waited for if `--timeout` says so.
    pub(crate) fn topic(&self, name: &str) -> Result<Topic> {
        let end = Instant::now().checked_add(self.timeout.unwrap_or_default());
        let interrupt = Interrupt::get();
        let mut client = self.client()?;
        loop {
            let is_over = end.is_some_and(|end| Instant::now() >= end) || interrupt.is_set();
            match client.look_up(name) {
                Ok(Some(found)) => return Ok(found.topic),
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
        let mut text = format!("nobody publishes {name}");
        match (alike.is_empty(), self.timeout) {
            (false, _) => text += &format!("; there is {}", alike.join(", ")),
            (true, None) => text += " (--timeout SECONDS waits for it)",
            (true, Some(_)) => {}
        }
        Failure::Failed(text)
    }
}
