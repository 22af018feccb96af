//! A node's side of discovery: a thread that registers the node's topics and looks up those of other
//! nodes, repeats what fails, and registers again when the daemon has lost a registration.

mod agent_loop;
mod registration;
mod schedule;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::client::Client;
use super::error::DiscoveryError;
use super::topic::Topic;
use crate::endpoint::AdvertisedAddress;
use crate::error::CreateError;
use crate::mutex::Mutex;
use crate::stop::StopToken;
use crate::transport::Context;
use crate::wire::discovery::RequestExt;

pub use registration::Registration;
pub(crate) use watch::WatchCell;

use agent_loop::{AgentLoop, CHECK_INTERVAL, Command, PROCESS_CHECK_INTERVAL, REQUEST_TIMEOUT};
use registration::RegistrationEntry;

/// The agent of a node; ends with it.
#[derive(Debug)]
pub(crate) struct Agent {
    commands: Sender<Command>,
    ids: AtomicU64,
    /// Interval at which registrations and look-ups are checked.
    interval: Duration,
    stop: StopToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Agent {
    /// Starts the agent; the daemon need not run yet. The agent calls `on_idle` once a second.
    ///
    /// # Errors
    ///
    /// When the address is invalid, or no socket or thread is left.
    pub(crate) fn start(
        context: &Context,
        address: &str,
        node: &str,
        on_idle: impl Fn() + Send + 'static,
    ) -> Result<Arc<Self>, CreateError> {
        let stop = StopToken::new()?;
        let interrupt = Some(stop.interrupt.clone());
        let client = match Client::with_context(context, address, REQUEST_TIMEOUT, interrupt) {
            Ok(client) => client,
            Err(DiscoveryError::Endpoint(error)) => return Err(error.into()),
            Err(DiscoveryError::Socket(error)) => return Err(error.into()),
            Err(other) => return Err(CreateError::thread(std::io::Error::other(other))),
        };
        let (commands, inbox) = channel();
        let interval = match address.starts_with("inproc://") {
            true => PROCESS_CHECK_INTERVAL,
            false => CHECK_INTERVAL,
        };
        let agent_loop = AgentLoop::new(client, interval, stop.clone(), Box::new(on_idle));
        let thread = std::thread::Builder::new()
            .name(format!("{node}-agent"))
            .spawn(move || agent_loop.run(&inbox))
            .map_err(CreateError::thread)?;
        let thread = Mutex::new(Some(thread));
        Ok(Arc::new(Self { commands, ids: AtomicU64::new(0), interval, stop, thread }))
    }

    /// Registers a topic until the guard is dropped.
    ///
    /// Where `advertised` is given, it tells the address to register.
    pub(crate) fn register(
        self: &Arc<Self>,
        topic: Topic,
        ext: RequestExt,
        advertised: Option<AdvertisedAddress>,
    ) -> RegistrationGuard {
        let state = Arc::new(Mutex::new(Registration::Pending));
        let entry =
            RegistrationEntry::new(topic, ext, advertised, Arc::clone(&state), self.interval);
        let id = self.next_id();
        self.send(Command::Register(id, Box::new(entry)));
        RegistrationGuard { state, guard: Guard { agent: Arc::clone(self), id } }
    }

    /// Looks a topic up until the guard is dropped.
    ///
    /// # Errors
    ///
    /// When the process has no file descriptor left.
    pub(crate) fn watch(self: &Arc<Self>, topic: &str) -> Result<WatchGuard, CreateError> {
        let cell = Arc::new(WatchCell::new()?);
        let id = self.next_id();
        self.send(Command::Watch(id, topic.to_owned(), Arc::clone(&cell)));
        // The agent may have ended before it received the command.
        if self.stop.is_stopped() {
            cell.close();
        }
        Ok(WatchGuard { cell, _guard: Guard { agent: Arc::clone(self), id } })
    }

    /// Unregisters all topics, wakes every watcher and ends the thread; returns when that is done.
    pub(crate) fn shut_down(&self) {
        self.stop.stop();
        // Wakes the thread; it may have ended before.
        self.send(Command::Forget(u64::MAX));
        let thread = self.thread.lock().take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the agent thread panicked");
        }
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    fn send(&self, command: Command) {
        // Fails after the thread's end, when no command has an effect.
        let _ = self.commands.send(command);
    }
}

/// Keeps a topic registered.
#[derive(Debug)]
pub(crate) struct RegistrationGuard {
    state: Arc<Mutex<Registration>>,
    #[expect(dead_code, reason = "held for its drop")]
    guard: Guard,
}

impl RegistrationGuard {
    pub(crate) fn state(&self) -> Registration {
        self.state.lock().clone()
    }
}

/// Keeps a topic looked up.
#[derive(Debug)]
pub(crate) struct WatchGuard {
    pub(crate) cell: Arc<WatchCell>,
    _guard: Guard,
}

#[derive(Debug)]
struct Guard {
    agent: Arc<Agent>,
    id: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.agent.send(Command::Forget(self.id));
    }
}
