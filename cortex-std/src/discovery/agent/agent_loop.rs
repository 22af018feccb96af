//! The agent's thread: processes commands and sends the requests that are due.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::registration::RegistrationEntry;
use super::schedule::Schedule;
use super::watch::WatchCell;
use crate::discovery::client::Client;
use crate::discovery::diagnosis::unreachable_publisher;
use crate::discovery::error::DiscoveryError;
use crate::log::{ErrorChain, LogLimit, nonzero, print_unless_logged};
use crate::stop::StopToken;

/// Timeout of one request.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout of all requests to unregister at the end together.
const UNREGISTER_TIMEOUT: Duration = Duration::from_millis(500);
/// Interval at which registrations and look-ups are checked, and of `on_idle`.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The same where the registry is in this process.
pub(super) const PROCESS_CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// How long the daemon may be silent before that is reported: a node that becomes the daemon, and one that
/// takes over from it, needs less.
const SILENCE_LIMIT: Duration = Duration::from_secs(2);

/// A command to the agent's thread; numbers identify registrations and watches.
pub(super) enum Command {
    Register(u64, Box<RegistrationEntry>),
    Watch(u64, String, Arc<WatchCell>),
    Forget(u64),
}

struct Watched {
    name: String,
    cell: Arc<WatchCell>,
    schedule: Schedule,
}

/// The state of the agent's thread.
pub(super) struct AgentLoop {
    client: Client,
    interval: Duration,
    stop: StopToken,
    registrations: HashMap<u64, RegistrationEntry>,
    /// To be unregistered.
    leaving: Vec<RegistrationEntry>,
    watches: HashMap<u64, Watched>,
    on_idle: Box<dyn Fn() + Send>,
    idle_at: Instant,
    epoch: Option<u64>,
    is_reachable: bool,
    /// Since when no request was answered.
    silent_since: Option<Instant>,
    log: LogLimit,
}

/// One round of requests, which ends with the first that gets no answer.
#[derive(Default)]
struct Round {
    has_requested: bool,
    /// No answer.
    unanswered: Option<DiscoveryError>,
    /// An answer that is an error.
    failed: Option<DiscoveryError>,
}

impl Round {
    fn perform<T>(&mut self, request: impl FnOnce() -> Result<T, DiscoveryError>) -> Option<T> {
        if self.unanswered.is_some() {
            return None;
        }
        self.has_requested = true;
        match request() {
            Ok(answer) => Some(answer),
            Err(
                error @ (DiscoveryError::Unreachable { .. }
                | DiscoveryError::Interrupted
                | DiscoveryError::Socket(_)),
            ) => {
                self.unanswered = Some(error);
                None
            }
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }
}

impl AgentLoop {
    pub(super) fn new(
        client: Client,
        interval: Duration,
        stop: StopToken,
        on_idle: Box<dyn Fn() + Send>,
    ) -> Self {
        Self {
            client,
            interval,
            stop,
            registrations: HashMap::new(),
            leaving: Vec::new(),
            watches: HashMap::new(),
            on_idle,
            idle_at: Instant::now() + CHECK_INTERVAL,
            epoch: None,
            is_reachable: true,
            silent_since: None,
            log: LogLimit::default(),
        }
    }

    pub(super) fn run(mut self, inbox: &Receiver<Command>) {
        while !self.stop.is_stopped() {
            let pause = self.next_due().saturating_duration_since(Instant::now());
            match inbox.recv_timeout(pause) {
                Ok(command) => {
                    self.execute(command);
                    while let Ok(command) = inbox.try_recv() {
                        self.execute(command);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.send_due_requests(Instant::now());
        }
        // Commands that were sent before the stop count.
        while let Ok(command) = inbox.try_recv() {
            self.execute(command);
        }
        self.unregister_all();
    }

    fn next_due(&self) -> Instant {
        let registrations = self.registrations.values().map(|entry| entry.schedule.due);
        let leaving = self.leaving.iter().map(|entry| entry.schedule.due);
        let watches = self.watches.values().map(|watched| watched.schedule.due);
        registrations.chain(leaving).chain(watches).fold(self.idle_at, Instant::min)
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Register(id, entry) => {
                self.registrations.insert(id, *entry);
            }
            Command::Watch(id, name, cell) => {
                let schedule = Schedule::new(self.interval);
                self.watches.insert(id, Watched { name, cell, schedule });
            }
            Command::Forget(id) => {
                self.watches.remove(&id);
                if let Some(mut entry) = self.registrations.remove(&id)
                    && entry.may_be_known
                {
                    entry.schedule.set_due_now();
                    self.leaving.push(entry);
                }
            }
        }
    }

    fn send_due_requests(&mut self, now: Instant) {
        let Self { client, registrations, leaving, watches, .. } = self;
        let mut round = Round::default();
        leaving.retain_mut(|entry| {
            if !entry.schedule.is_due(now) {
                return true;
            }
            let is_done = round.perform(|| client.unregister(&entry.topic)).is_some();
            if !is_done {
                entry.schedule.retry();
            }
            !is_done
        });
        for entry in registrations.values_mut().filter(|entry| entry.schedule.is_due(now)) {
            if round.perform(|| entry.update(client)).is_none() {
                entry.schedule.retry();
            }
        }
        for watched in watches.values_mut().filter(|watched| watched.schedule.is_due(now)) {
            if round.perform(|| watched.update(client)).is_none() {
                watched.schedule.retry();
            }
        }
        self.record_round(round);
        self.record_epoch();
        if self.idle_at <= now {
            self.idle_at = now + CHECK_INTERVAL;
            (self.on_idle)();
        }
    }

    fn record_round(&mut self, round: Round) {
        if let Some(error) = round.failed
            && let Some(suppressed) = self.log.pass(Instant::now())
        {
            let error = ErrorChain(&error);
            tracing::warn!(%error, suppressed = nonzero(suppressed), "a discovery request failed; trying again");
        }
        match round.unanswered {
            Some(DiscoveryError::Interrupted) => {}
            Some(error) => {
                let now = Instant::now();
                let since = *self.silent_since.get_or_insert(now);
                if self.is_reachable && now.saturating_duration_since(since) >= SILENCE_LIMIT {
                    self.is_reachable = false;
                    let error = ErrorChain(&error);
                    tracing::warn!(%error, "waiting for the discovery daemon");
                    if !self.registrations.is_empty() {
                        print_unless_logged(format_args!("no topic is registered yet: {error}"));
                    }
                }
                // A daemon that comes back may have lost the registrations without a new epoch.
                for entry in self.registrations.values_mut() {
                    entry.reset_if_registered();
                }
            }
            None if round.has_requested => {
                self.silent_since = None;
                if !std::mem::replace(&mut self.is_reachable, true) {
                    tracing::info!("the discovery daemon answers");
                }
            }
            None => {}
        }
    }

    /// Registers all topics again when another daemon answers.
    fn record_epoch(&mut self) {
        let epoch = self.client.epoch();
        if epoch == self.epoch {
            return;
        }
        if self.epoch.is_some() {
            self.leaving.clear();
            tracing::info!("the discovery daemon restarted; registering again");
            for entry in self.registrations.values_mut() {
                entry.reset();
            }
        }
        self.epoch = epoch;
    }

    fn unregister_all(mut self) {
        for watched in self.watches.values() {
            watched.cell.close();
        }
        let deadline = Instant::now() + UNREGISTER_TIMEOUT;
        let known = self.registrations.values().chain(&self.leaving);
        for entry in known.filter(|entry| entry.may_be_known) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!(topic = entry.topic.name, "no time left to unregister");
                break;
            }
            self.client.limit(left);
            if let Err(error) = self.client.unregister(&entry.topic) {
                let error = ErrorChain(&error);
                tracing::debug!(topic = entry.topic.name, %error, "not unregistered");
            }
        }
    }
}

impl Watched {
    fn update(&mut self, client: &mut Client) -> Result<(), DiscoveryError> {
        match client.look_up(&self.name)? {
            None => self.schedule.retry(),
            Some(found) => {
                self.schedule.succeed();
                if self.cell.found().as_ref() != Some(&found) {
                    for publisher in &found.publishers {
                        let found = unreachable_publisher(client.address(), &publisher.address);
                        if let Some(reason) = found {
                            let (topic, node) = (&self.name, &publisher.publisher_node);
                            tracing::warn!(topic, node, reason, "a publisher cannot be reached");
                        }
                    }
                    self.cell.set_found(found);
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for AgentLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentLoop").field("client", &self.client).finish_non_exhaustive()
    }
}
