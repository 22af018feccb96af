//! A node's side of discovery: registers its topics and finds those of others, on a thread of its
//! own, again and again until it works and whenever the daemon has forgotten.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::discovery::{Client, DiscoveryError, Found, Topic};
use crate::endpoint::Reach;
use crate::error::CreateError;
use crate::node::Closable;
use crate::publisher::Registration;
use crate::schedule::Schedule;
use crate::socket::context::Context;
use crate::socket::interrupt::Interrupt;
use crate::stats::LogLimit;
use crate::stop::StopToken;
use crate::wire::discovery::RequestExt;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// How long all farewells together may take.
const FAREWELL: Duration = Duration::from_millis(500);
/// How often what was found or registered is looked at again.
const REVIEW: Duration = Duration::from_secs(1);
/// The same where nobody has to be asked but the registry of this process.
const PROCESS_REVIEW: Duration = Duration::from_millis(100);
/// How long the daemon keeps a registration that is not repeated. It is the last resort, for
/// publishers that the daemon cannot look at: those behind tcp, whose machine may vanish without a
/// word. Long enough for a process that is stopped or swapped out for a moment.
const LEASE: Duration = Duration::from_secs(10);
/// How often a registration is repeated: three may fail before the lease ends.
const RENEWAL: Duration = Duration::from_millis(2500);

/// What the agent has found of a topic, for the one subscriber that waits for it.
#[derive(Debug)]
pub(crate) struct WatchCell {
    state: Mutex<WatchState>,
    interrupt: Interrupt,
    #[cfg(feature = "tokio")]
    notify: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct WatchState {
    found: Option<Found>,
    is_closed: bool,
}

impl WatchCell {
    fn new() -> Result<Self, CreateError> {
        Ok(Self {
            state: Mutex::default(),
            interrupt: Interrupt::new()?,
            #[cfg(feature = "tokio")]
            notify: tokio::sync::Notify::new(),
        })
    }

    /// The topic as it was found last; it stays when its publisher leaves.
    pub(crate) fn found(&self) -> Option<Found> {
        lock(&self.state).found.clone()
    }

    /// Whether the node was shut down.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).is_closed
    }

    /// Wakes a blocked receive when something changed here.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Waits for a change; returns at once if there was one since the last call.
    ///
    /// # Cancel safety
    ///
    /// No change is lost.
    #[cfg(feature = "tokio")]
    pub(crate) async fn changed(&self) {
        self.notify.notified().await;
    }

    fn update(&self, change: impl FnOnce(&mut WatchState)) {
        change(&mut lock(&self.state));
        self.interrupt.wake();
        #[cfg(feature = "tokio")]
        self.notify.notify_one();
    }
}

enum Command {
    Register(u64, Box<Held>),
    Watch(u64, String, Arc<WatchCell>),
    Tend(Weak<dyn Closable>),
    Forget(u64),
}

/// The agent of a node; ends with it.
#[derive(Debug)]
pub(crate) struct Agent {
    commands: Sender<Command>,
    ids: AtomicU64,
    /// How often what works is looked at.
    review: Duration,
    stop: StopToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Agent {
    /// Starts the agent; the daemon need not run yet.
    pub(crate) fn start(
        context: &Context,
        address: &str,
        node: &str,
    ) -> Result<Arc<Self>, CreateError> {
        let stop = StopToken::new()?;
        let interrupt = Some(stop.interrupt.clone());
        let client = match Client::with_context(context, address, REQUEST_TIMEOUT, interrupt) {
            Ok(client) => client,
            Err(DiscoveryError::Endpoint(error)) => return Err(error.into()),
            Err(DiscoveryError::Socket(error)) => return Err(error.into()),
            Err(other) => return Err(CreateError::Thread(std::io::Error::other(other))),
        };
        let (commands, inbox) = channel();
        let review = if address.starts_with("inproc://") { PROCESS_REVIEW } else { REVIEW };
        let worker = Worker {
            client,
            review,
            stop: stop.clone(),
            registrations: HashMap::new(),
            leaving: Vec::new(),
            watches: HashMap::new(),
            tended: Vec::new(),
            tend_at: Instant::now(),
            epoch: None,
            is_reachable: true,
            log: LogLimit::default(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("{node}-agent"))
            .spawn(move || worker.run(&inbox))
            .map_err(CreateError::Thread)?;
        let thread = Mutex::new(Some(thread));
        Ok(Arc::new(Self { commands, ids: AtomicU64::new(0), review, stop, thread }))
    }

    /// Registers a topic until the guard is dropped.
    ///
    /// Where `reach` is given, it says each time at which address.
    pub(crate) fn register(
        self: &Arc<Self>,
        topic: Topic,
        ext: RequestExt,
        reach: Option<Reach>,
    ) -> RegistrationGuard {
        let lease_ms = u32::try_from(LEASE.as_millis()).ok();
        let state = Arc::new(Mutex::new(Registration::Pending));
        let held = Held {
            topic,
            ext: RequestExt { lease_ms, ..ext },
            reach,
            state: Arc::clone(&state),
            may_be_known: false,
            renewal: Instant::now(),
            schedule: Schedule::new(self.review),
        };
        let id = self.next_id();
        self.tell(Command::Register(id, Box::new(held)));
        RegistrationGuard { state, guard: Guard { agent: Arc::clone(self), id } }
    }

    /// Looks for a topic until the guard is dropped.
    pub(crate) fn watch(self: &Arc<Self>, topic: &str) -> Result<WatchGuard, CreateError> {
        let cell = Arc::new(WatchCell::new()?);
        let id = self.next_id();
        self.tell(Command::Watch(id, topic.to_owned(), Arc::clone(&cell)));
        // The agent may have ended before it heard of this one.
        if self.stop.is_stopped() {
            cell.update(|state| state.is_closed = true);
        }
        Ok(WatchGuard { cell, _guard: Guard { agent: Arc::clone(self), id } })
    }

    /// Tends a part of the node every now and then, as long as it is there.
    pub(crate) fn tend(&self, part: Weak<dyn Closable>) {
        self.tell(Command::Tend(part));
    }

    /// Unregisters everything, wakes every watcher, and ends; returns when that is done.
    pub(crate) fn shut_down(&self) {
        self.stop.stop();
        // Wakes it from waiting for commands; it may have ended before.
        self.tell(Command::Forget(u64::MAX));
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the agent thread panicked");
        }
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    fn tell(&self, command: Command) {
        // After its end there is nobody to tell, and nothing to be done.
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
        lock(&self.state).clone()
    }
}

/// Keeps a topic looked for.
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
        self.agent.tell(Command::Forget(self.id));
    }
}

struct Held {
    topic: Topic,
    ext: RequestExt,
    /// Where the address follows that of this machine.
    reach: Option<Reach>,
    state: Arc<Mutex<Registration>>,
    /// Since a request to register was sent, until the daemon said otherwise.
    may_be_known: bool,
    /// When the daemon is told again, because it forgets after a while.
    renewal: Instant,
    schedule: Schedule,
}

struct Watched {
    name: String,
    cell: Arc<WatchCell>,
    schedule: Schedule,
}

struct Worker {
    client: Client,
    review: Duration,
    stop: StopToken,
    registrations: HashMap<u64, Held>,
    /// To be unregistered.
    leaving: Vec<Held>,
    watches: HashMap<u64, Watched>,
    tended: Vec<Weak<dyn Closable>>,
    tend_at: Instant,
    epoch: Option<u64>,
    is_reachable: bool,
    log: LogLimit,
}

/// One round of questions: the first that is not answered at all is the last.
#[derive(Default)]
struct Round {
    has_asked: bool,
    gone: Option<DiscoveryError>,
    /// An answer that was no use.
    odd: Option<DiscoveryError>,
}

impl Round {
    fn ask<T>(&mut self, question: impl FnOnce() -> Result<T, DiscoveryError>) -> Option<T> {
        if self.gone.is_some() {
            return None;
        }
        self.has_asked = true;
        match question() {
            Ok(answer) => Some(answer),
            Err(
                error @ (DiscoveryError::Unreachable { .. }
                | DiscoveryError::Interrupted
                | DiscoveryError::Socket(_)),
            ) => {
                self.gone = Some(error);
                None
            }
            Err(error) => {
                self.odd = Some(error);
                None
            }
        }
    }
}

impl Worker {
    fn run(mut self, inbox: &Receiver<Command>) {
        while !self.stop.is_stopped() {
            let pause = self.next_due().saturating_duration_since(Instant::now());
            match inbox.recv_timeout(pause) {
                Ok(command) => {
                    self.obey(command);
                    while let Ok(command) = inbox.try_recv() {
                        self.obey(command);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.serve(Instant::now());
        }
        // Commands that came with the stop count as well.
        while let Ok(command) = inbox.try_recv() {
            self.obey(command);
        }
        self.say_farewell();
    }

    fn next_due(&self) -> Instant {
        let registrations = self.registrations.values().map(|held| held.schedule.due);
        let leaving = self.leaving.iter().map(|held| held.schedule.due);
        let watches = self.watches.values().map(|watched| watched.schedule.due);
        let tend = (!self.tended.is_empty()).then_some(self.tend_at);
        let all = registrations.chain(leaving).chain(watches).chain(tend);
        all.min().unwrap_or_else(|| Instant::now() + REVIEW)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Register(id, held) => {
                self.registrations.insert(id, *held);
            }
            Command::Watch(id, name, cell) => {
                let schedule = Schedule::new(self.review);
                self.watches.insert(id, Watched { name, cell, schedule });
            }
            Command::Tend(part) => self.tended.push(part),
            Command::Forget(id) => {
                self.watches.remove(&id);
                if let Some(mut held) = self.registrations.remove(&id)
                    && held.may_be_known
                {
                    held.schedule.hurry();
                    self.leaving.push(held);
                }
            }
        }
    }

    /// Asks for everything that is due.
    fn serve(&mut self, now: Instant) {
        let Self { client, registrations, leaving, watches, .. } = self;
        let mut round = Round::default();
        leaving.retain_mut(|held| {
            let is_done =
                held.schedule.is_due(now) && round.ask(|| client.unregister(&held.topic)).is_some();
            if !is_done && held.schedule.is_due(now) {
                held.schedule.retry();
            }
            !is_done
        });
        for held in registrations.values_mut().filter(|held| held.schedule.is_due(now)) {
            if round.ask(|| serve_registration(client, held)).is_none() {
                held.schedule.retry();
            }
        }
        for watched in watches.values_mut().filter(|watched| watched.schedule.is_due(now)) {
            if round.ask(|| serve_watch(client, watched)).is_none() {
                watched.schedule.retry();
            }
        }
        self.note(round);
        self.note_epoch();
        self.tend(now);
    }

    fn note(&mut self, round: Round) {
        if let Some(error) = round.odd
            && let Some(suppressed) = self.log.pass(Instant::now())
        {
            tracing::warn!(%error, suppressed, "discovery does not work; trying again");
        }
        match round.gone {
            Some(DiscoveryError::Interrupted) => {}
            Some(error) => {
                if self.is_reachable {
                    self.is_reachable = false;
                    tracing::warn!(%error, "waiting for the discovery daemon");
                }
                // A daemon that comes back may know nothing of us, nor say so by an epoch.
                for held in self.registrations.values_mut() {
                    let mut state = lock(&held.state);
                    if *state == Registration::Registered {
                        *state = Registration::Pending;
                        held.schedule.hurry();
                    }
                }
            }
            None if round.has_asked && !self.is_reachable => {
                self.is_reachable = true;
                tracing::info!("the discovery daemon answers");
            }
            None => {}
        }
    }

    /// Lets publishers that are idle notice who left: libzmq works only when it is asked.
    fn tend(&mut self, now: Instant) {
        if self.tend_at > now {
            return;
        }
        self.tend_at = now + REVIEW;
        self.tended.retain(|part| match part.upgrade() {
            Some(part) => {
                part.tend();
                true
            }
            None => false,
        });
    }

    /// Registers everything anew with a daemon that started anew.
    fn note_epoch(&mut self) {
        let epoch = self.client.epoch();
        if epoch == self.epoch {
            return;
        }
        if self.epoch.is_some() {
            self.leaving.clear();
            tracing::info!("the discovery daemon started anew; registering again");
            for held in self.registrations.values_mut() {
                *lock(&held.state) = Registration::Pending;
                held.schedule.hurry();
            }
        }
        self.epoch = epoch;
    }

    fn say_farewell(mut self) {
        for watched in self.watches.values() {
            watched.cell.update(|state| state.is_closed = true);
        }
        let deadline = Instant::now() + FAREWELL;
        let known = self.registrations.values().chain(&self.leaving);
        for held in known.filter(|held| held.may_be_known) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                tracing::warn!(topic = held.topic.name, "no time left to unregister");
                break;
            }
            self.client.limit(left);
            if let Err(error) = self.client.unregister(&held.topic) {
                tracing::debug!(topic = held.topic.name, %error, "not unregistered");
            }
        }
    }
}

/// Registers, or looks whether the daemon still knows.
fn serve_registration(client: &mut Client, held: &mut Held) -> Result<(), DiscoveryError> {
    held.follow_reach()?;
    let topic = &held.topic;
    if *lock(&held.state) != Registration::Pending {
        let publishers = client.look_up(&topic.name)?.map(|found| found.publishers);
        let ours = publishers.as_ref().and_then(|publishers| {
            publishers.iter().find(|other| other.publisher_node == topic.publisher_node)
        });
        match ours {
            Some(found) if found == topic && Instant::now() < held.renewal => {
                held.settle(Registration::Registered);
                return Ok(());
            }
            // Who registered last has it; registering again would only begin a quarrel.
            Some(found) if found.address != topic.address => {
                held.may_be_known = false;
                held.settle(Registration::Refused(format!(
                    "another node of this name publishes it at {}",
                    found.address
                )));
                return Ok(());
            }
            // Overwritten or forgotten: say it again.
            _ => {}
        }
    }
    held.may_be_known = true;
    match client.register(&held.topic, held.ext) {
        Ok(()) => {
            held.renewal = Instant::now() + RENEWAL;
            held.settle(Registration::Registered);
        }
        Err(error @ (DiscoveryError::AlreadyExists { .. } | DiscoveryError::Refused { .. })) => {
            held.may_be_known = false;
            held.settle(Registration::Refused(error.to_string()));
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

impl Held {
    /// Looks under which address others reach this machine now.
    fn follow_reach(&mut self) -> Result<(), DiscoveryError> {
        let Some(reach) = &mut self.reach else { return Ok(()) };
        let address = reach.address().map_err(DiscoveryError::NoRoute)?;
        if address != self.topic.address {
            tracing::info!(topic = self.topic.name, address, "this machine has another address");
            self.topic.address = address;
            // Whatever the daemon knows: this node alone may say where it is.
            *lock(&self.state) = Registration::Pending;
        }
        Ok(())
    }

    /// Notes how it stands; it is looked at again in a while: who has the topic may leave.
    fn settle(&mut self, next: Registration) {
        self.schedule.review();
        let mut state = lock(&self.state);
        if *state == next {
            return;
        }
        let topic = &self.topic.name;
        match &next {
            Registration::Refused(reason) => tracing::error!(topic, reason, "not registered"),
            _ => tracing::debug!(topic, address = self.topic.address, "registered"),
        }
        *state = next;
    }
}

fn serve_watch(client: &mut Client, watched: &mut Watched) -> Result<(), DiscoveryError> {
    match client.look_up(&watched.name)? {
        None => watched.schedule.retry(),
        Some(found) => {
            watched.schedule.review();
            if watched.cell.found().as_ref() != Some(&found) {
                watched.cell.update(|state| state.found = Some(found));
            }
        }
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
