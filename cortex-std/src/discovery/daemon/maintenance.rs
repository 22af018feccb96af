//! Maintenance of a registry: lease expiry, removal of dead publishers, persistence.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::state_file::StateFile;
use crate::discovery::registry::Registry;
use crate::discovery::registry::table::Check;
use crate::endpoint::probe;
use crate::log::{ErrorChain, LogLimit, nonzero};
use crate::mutex::Mutex;

/// Interval of the rounds, unless woken.
const ROUND_INTERVAL: Duration = Duration::from_millis(250);
/// Rounds further apart than this mean that the process was stopped and no client could renew a lease.
const STOPPED_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval at which the same address is probed.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// Topics whose addresses are probed in one round.
const BATCH: usize = 250;
/// Pause between two snapshots, so that a thousand registrations do not write a thousand files.
const SAVE_INTERVAL: Duration = Duration::from_millis(50);

/// Maintains a registry.
#[derive(Debug)]
pub(super) struct Maintenance {
    file: Option<StateFile>,
    /// Index of the next topic to probe.
    position: usize,
    /// When the first topic may be probed again.
    pass_at: Instant,
    last_round: Instant,
    saved: u64,
    save_at: Instant,
    log: LogLimit,
}

impl Maintenance {
    /// Restores into `registry` what the daemon that wrote `file` left.
    pub(super) fn new(file: Option<StateFile>, registry: &mut Registry) -> Self {
        let now = Instant::now();
        if let Some(file) = &file {
            let kept = file.load();
            let count = kept.len();
            registry.restore(kept, now);
            // Probed before the first request, so that no client is sent to a dead publisher.
            for check in registry.take_urgent() {
                registry.record_probe(&check, probe(&check.path));
            }
            if count > 0 {
                let known = registry.topic_count();
                tracing::info!(count, known, "restored the registrations of the last daemon");
            }
        }
        Self {
            file,
            position: 0,
            pass_at: now,
            last_round: now,
            saved: 0,
            save_at: now,
            log: LogLimit::default(),
        }
    }

    /// Runs until every sender of `woken` is dropped.
    pub(super) fn run(&mut self, registry: &Mutex<Registry>, woken: &Receiver<()>) {
        self.last_round = Instant::now();
        loop {
            let due = self.run_round(registry);
            match woken.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }

    /// Saves what the next daemon needs; no file where no publisher is left.
    pub(super) fn finish(&mut self, registry: &Mutex<Registry>) {
        let urgent = registry.lock().take_urgent();
        self.probe_all(registry, urgent);
        let checks = registry.lock().checks(0, BATCH);
        self.probe_all(registry, checks);
        self.save(registry);
    }

    /// Does what is due; returns when the next round is due.
    fn run_round(&mut self, registry: &Mutex<Registry>) -> Instant {
        let now = Instant::now();
        let since = now.saturating_duration_since(self.last_round);
        self.last_round = now;
        let urgent = {
            let mut registry = registry.lock();
            if since > STOPPED_TIMEOUT {
                registry.extend_leases(since);
            }
            registry.expire(now);
            registry.take_urgent()
        };
        self.probe_all(registry, urgent);
        if self.position > 0 || now >= self.pass_at {
            if self.position == 0 {
                self.pass_at = now + PROBE_INTERVAL;
            }
            let (checks, count) = {
                let registry = registry.lock();
                (registry.checks(self.position, BATCH), registry.topic_count())
            };
            self.probe_all(registry, checks);
            self.position += BATCH;
            if self.position >= count {
                self.position = 0;
            }
        }
        let is_dirty = self.saved != registry.lock().version();
        if is_dirty && now >= self.save_at {
            self.save(registry);
        } else if is_dirty {
            return self.save_at;
        }
        now + ROUND_INTERVAL
    }

    /// Probes addresses; requests are served meanwhile.
    fn probe_all(&self, registry: &Mutex<Registry>, checks: Vec<Check>) {
        for check in checks {
            let found = probe(&check.path);
            registry.lock().record_probe(&check, found);
        }
    }

    fn save(&mut self, registry: &Mutex<Registry>) {
        let start = Instant::now();
        let (snapshot, version) = {
            let registry = registry.lock();
            (registry.snapshot(), registry.version())
        };
        self.saved = version;
        if let Some(file) = &self.file
            && let Err(error) = file.save(snapshot.as_deref())
            && let Some(suppressed) = self.log.pass(start)
        {
            tracing::warn!(
                path = %file.path().display(),
                error = %ErrorChain(&error),
                suppressed = nonzero(suppressed),
                "cannot save the registrations for the next daemon"
            );
        }
        // Writing a large file takes at most a tenth of the time.
        self.save_at = Instant::now() + SAVE_INTERVAL.max(start.elapsed() * 10);
    }
}
