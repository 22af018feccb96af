//! What a daemon does though nobody asks: ends leases, removes ghosts, keeps what it knows.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::registry::Registry;
use super::state::StateFile;
use super::table::Check;
use crate::endpoint::probe;
use crate::stats::LogLimit;

/// How often it looks, unless woken.
const TURN: Duration = Duration::from_millis(250);
/// Two turns further apart: the process was stopped, and nobody could renew a lease.
const STOPPED: Duration = Duration::from_secs(1);
/// How long an address is not looked at again.
const REST: Duration = Duration::from_millis(500);
/// Topics that are looked at in one turn.
const BATCH: usize = 250;
/// Pause between two savings, so that a thousand registrations are not a thousand files.
const SAVE: Duration = Duration::from_millis(50);

/// Looks after a registry.
#[derive(Debug)]
pub(super) struct Keeper {
    file: Option<StateFile>,
    /// The next topic to be looked at.
    position: usize,
    /// When the first topic may be looked at again.
    pass_at: Instant,
    turned_at: Instant,
    saved: u64,
    save_at: Instant,
    log: LogLimit,
}

impl Keeper {
    /// A keeper that goes on where the daemon ended that wrote `file`.
    pub(super) fn new(file: Option<StateFile>, registry: &mut Registry) -> Self {
        let now = Instant::now();
        if let Some(file) = &file {
            let kept = file.load();
            let count = kept.len();
            registry.restore(kept, now);
            // Looked at before anybody asks, so that nobody is sent to a ghost.
            for check in registry.take_urgent() {
                registry.note(&check, probe(&check.path));
            }
            if count > 0 {
                let known = registry.topic_count();
                tracing::info!(count, known, "went on with what the last daemon knew");
            }
        }
        Self {
            file,
            position: 0,
            pass_at: now,
            turned_at: now,
            saved: 0,
            save_at: now,
            log: LogLimit::default(),
        }
    }

    /// Works until nobody is left who could wake it.
    pub(super) fn run(&mut self, registry: &Mutex<Registry>, woken: &Receiver<()>) {
        self.turned_at = Instant::now();
        loop {
            let due = self.turn(registry);
            match woken.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }

    /// Keeps what the next daemon needs; nothing, and no file, if nobody is there any more.
    pub(super) fn finish(&mut self, registry: &Mutex<Registry>) {
        let urgent = lock(registry).take_urgent();
        self.look(registry, urgent);
        let checks = lock(registry).checks(0, BATCH);
        self.look(registry, checks);
        self.save(registry);
    }

    /// Does what is due; returns when to come again.
    fn turn(&mut self, registry: &Mutex<Registry>) -> Instant {
        let now = Instant::now();
        let since = now.saturating_duration_since(self.turned_at);
        self.turned_at = now;
        let urgent = {
            let mut registry = lock(registry);
            if since > STOPPED {
                registry.extend_leases(since);
            }
            registry.expire(now);
            registry.take_urgent()
        };
        self.look(registry, urgent);
        if self.position > 0 || now >= self.pass_at {
            if self.position == 0 {
                self.pass_at = now + REST;
            }
            let (checks, count) = {
                let registry = lock(registry);
                (registry.checks(self.position, BATCH), registry.topic_count())
            };
            self.look(registry, checks);
            self.position += BATCH;
            if self.position >= count {
                self.position = 0;
            }
        }
        let is_dirty = self.saved != lock(registry).version();
        if is_dirty && now >= self.save_at {
            self.save(registry);
        } else if is_dirty {
            return self.save_at;
        }
        now + TURN
    }

    /// Looks at addresses while others may be answered.
    fn look(&self, registry: &Mutex<Registry>, checks: Vec<Check>) {
        for check in checks {
            let found = probe(&check.path);
            lock(registry).note(&check, found);
        }
    }

    fn save(&mut self, registry: &Mutex<Registry>) {
        let start = Instant::now();
        let (snapshot, version) = {
            let registry = lock(registry);
            (registry.snapshot(), registry.version())
        };
        self.saved = version;
        if let Some(file) = &self.file
            && let Err(error) = file.save(snapshot.as_deref())
            && let Some(suppressed) = self.log.pass(start)
        {
            tracing::warn!(%error, suppressed, "the registrations are not kept for the next daemon");
        }
        // A large file takes its share of the time, not all of it.
        self.save_at = Instant::now() + SAVE.max(start.elapsed() * 10);
    }
}

fn lock(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}
