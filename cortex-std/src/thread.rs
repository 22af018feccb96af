//! Threads with a name, an affinity and a priority, and the threads that end with their node.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle, ThreadId, current};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::callback::panic_text;
use crate::error::CreateError;
use crate::node::check_name;
use crate::stop::StopToken;

/// What a thread without a name is called.
const NAME: &str = "cortex";

/// How a thread is to run.
///
/// # Examples
///
/// ```
/// use cortex_std::ThreadOptions;
///
/// let control = ThreadOptions { cores: vec![0], ..ThreadOptions::named("control") };
/// # drop(control);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThreadOptions {
    /// Name of the thread in logs and debuggers, which show its first 15 bytes; empty for one that
    /// says what the thread is for.
    pub name: String,
    /// The cores it may run on, from 0; none for all that its creator may run on.
    pub cores: Vec<usize>,
    /// Runs under SCHED_FIFO with this priority, 1 to 99: before every thread without one, until it
    /// waits. Needs `CAP_SYS_NICE` or a limit (`ulimit -r`) as high.
    pub fifo_priority: Option<u8>,
}

impl ThreadOptions {
    /// The defaults, with a name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The same, called `name` unless a name was chosen.
    pub(crate) fn or_named(mut self, name: &str) -> Self {
        if self.name.is_empty() {
            name.clone_into(&mut self.name);
        }
        self
    }

    /// Applies affinity and priority to this thread.
    fn apply(&self) -> Result<(), CreateError> {
        if !self.cores.is_empty() {
            set_cores(&self.cores)
                .map_err(|source| CreateError::Affinity { cores: self.cores.clone(), source })?;
        }
        if let Some(priority) = self.fifo_priority {
            set_fifo(priority).map_err(|source| CreateError::Scheduling { priority, source })?;
        }
        Ok(())
    }
}

/// Starts a thread that runs as `options` say; where the system refuses that, `body` does not run.
///
/// # Errors
///
/// `Name`, `Thread`, `Affinity`, `Scheduling`.
pub(crate) fn spawn(
    options: ThreadOptions,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, CreateError> {
    let options = options.or_named(NAME);
    check_name("thread", &options.name)?;
    let (report, reported) = sync_channel(1);
    let thread = Builder::new()
        .name(options.name.clone())
        .spawn(move || {
            let applied = options.apply();
            let is_ready = applied.is_ok();
            // Whoever started this thread waits for it.
            let _ = report.send(applied);
            if is_ready {
                body();
            }
        })
        .map_err(CreateError::Thread)?;
    match reported.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(refused)) => {
            // It ends by itself; waiting for it leaves nothing behind.
            let _ = thread.join();
            Err(refused)
        }
        Err(_) => Err(CreateError::Thread(io::Error::other("it ended at once"))),
    }
}

/// How long a thread that was told to stop is waited for.
pub(crate) const STOP_LIMIT: Duration = Duration::from_secs(1);

/// A thread of a node.
///
/// Dropping the handle changes nothing: the thread is told to stop when its node shuts down.
#[derive(Debug, Clone)]
pub struct ThreadHandle {
    name: Arc<str>,
    stop: StopToken,
    is_done: Arc<AtomicBool>,
}

impl ThreadHandle {
    /// The thread's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells the thread to stop, by its [`StopToken`], and does not wait for it.
    pub fn stop(&self) {
        self.stop.stop();
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.is_done.load(Ordering::SeqCst)
    }
}

/// The threads of a node: they are told to stop when it ends, and waited for, but not for ever.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_closed: bool,
    running: Vec<Running>,
}

#[derive(Debug)]
struct Running {
    handle: ThreadHandle,
    thread: JoinHandle<()>,
}

impl Running {
    /// Whether `waiter` may wait for it: nobody waits for itself.
    fn holds_up(&self, waiter: ThreadId) -> bool {
        !self.handle.is_finished() && self.thread.thread().id() != waiter
    }
}

impl Threads {
    /// Starts a thread that is to end when its token is stopped. A panic is reported.
    ///
    /// # Errors
    ///
    /// As [`spawn`]; `ShutDown` after [`stop`](Self::stop).
    pub(crate) fn spawn(
        self: &Arc<Self>,
        options: ThreadOptions,
        body: impl FnOnce(StopToken) + Send + 'static,
    ) -> Result<ThreadHandle, CreateError> {
        let options = options.or_named(NAME);
        let handle = ThreadHandle {
            name: options.name.as_str().into(),
            stop: StopToken::new()?,
            is_done: Arc::default(),
        };
        let (threads, inside) = (Arc::clone(self), handle.clone());
        // Not locked meanwhile: a refused thread drops what `body` captured, whatever that does.
        if self.lock().is_closed {
            return Err(CreateError::ShutDown);
        }
        let thread = spawn(options, move || {
            let stop = inside.stop.clone();
            // What `body` captured is gone before anybody hears of the end.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(stop))) {
                let reason = panic_text(panic.as_ref());
                tracing::error!(thread = &*inside.name, reason, "a thread of the node panicked");
            }
            inside.is_done.store(true, Ordering::SeqCst);
            drop(threads.lock());
            threads.ended.notify_all();
        })?;
        let mut state = self.lock();
        state.running.retain(|running| !running.handle.is_finished());
        state.running.push(Running { handle: handle.clone(), thread });
        if state.is_closed {
            drop(state);
            self.end(&handle);
            return Err(CreateError::ShutDown);
        }
        Ok(handle)
    }

    /// Tells all of them to stop; no other can be started.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        for running in &state.running {
            running.handle.stop();
        }
    }

    /// Waits for all of them but this one; who has not ended at the deadline is reported and left.
    pub(crate) fn join(&self, deadline: Instant) {
        self.wait_for(deadline, |_| true);
    }

    /// Stops one thread and waits for it as [`join`](Self::join) does.
    pub(crate) fn end(&self, handle: &ThreadHandle) {
        handle.stop();
        let deadline = Instant::now() + STOP_LIMIT;
        self.wait_for(deadline, |other| Arc::ptr_eq(&other.is_done, &handle.is_done));
    }

    /// Whether this thread is one of them.
    pub(crate) fn has_current(&self) -> bool {
        let current = current().id();
        self.lock().running.iter().any(|running| running.thread.thread().id() == current)
    }

    fn wait_for(&self, deadline: Instant, chosen: impl Fn(&ThreadHandle) -> bool) {
        let waiter = current().id();
        let holds_up = |running: &Running| chosen(&running.handle) && running.holds_up(waiter);
        let mut state = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !state.running.iter().any(holds_up) {
                break;
            }
            let waited = self.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let (over, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut state.running)
            .into_iter()
            .partition(|running| chosen(&running.handle) && running.handle.is_finished());
        let left: Vec<_> = rest
            .iter()
            .filter(|running| holds_up(running))
            .map(|running| running.handle.name.clone())
            .collect();
        state.running = rest;
        drop(state);
        for name in left {
            tracing::error!(thread = &*name, "a thread does not stop and is left running");
        }
        for running in over {
            // It has nothing left to do.
            let _ = running.thread.join();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set_cores(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        if core >= CpuSet::MAX_CPU {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no such core"));
        }
        set.set(core);
    }
    sched_setaffinity(None, &set)?;
    // The kernel leaves out cores that it does not have and is content if one remains.
    let granted = sched_getaffinity(None)?;
    if cores.iter().all(|&core| granted.is_set(core)) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no such core"))
    }
}

fn set_fifo(priority: u8) -> io::Result<()> {
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidInput, reason);
    if !(1..=99).contains(&priority) {
        return Err(invalid("priorities go from 1 to 99".to_owned()));
    }
    let value = ThreadPriorityValue::try_from(priority).map_err(invalid)?;
    let priority = ThreadPriority::Crossplatform(value);
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    match set_thread_priority_and_policy(thread_native_id(), priority, policy) {
        Ok(()) => Ok(()),
        Err(thread_priority::Error::OS(errno)) => Err(io::Error::from_raw_os_error(errno)),
        Err(other) => Err(invalid(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_thread_has_its_name_and_runs_on_its_cores() {
        let core = sched_getaffinity(None).map(|set| (0..64).find(|&core| set.is_set(core)));
        let core = core.unwrap().unwrap();
        let (sender, receiver) = channel();
        let options = ThreadOptions { cores: vec![core], ..ThreadOptions::named("bound") };
        let thread = spawn(options, move || {
            let set = sched_getaffinity(None).unwrap();
            let name = std::thread::current().name().map(str::to_owned);
            sender.send((name, set.count(), set.is_set(core))).unwrap();
        });
        thread.unwrap().join().unwrap();
        assert_eq!(receiver.recv().unwrap(), (Some("bound".to_owned()), 1, true));
    }

    #[test]
    fn what_the_system_refuses_is_returned_and_nothing_runs() {
        let refused = |options: ThreadOptions| {
            let (sender, receiver) = channel::<()>();
            let result = spawn(options, move || sender.send(()).unwrap_or(()));
            assert!(receiver.recv().is_err(), "it ran");
            result.unwrap_err()
        };
        let on = |cores: &[usize]| ThreadOptions { cores: cores.to_vec(), ..Default::default() };
        assert!(matches!(refused(on(&[1000])), CreateError::Affinity { .. }));
        assert!(matches!(refused(on(&[0, 1000])), CreateError::Affinity { .. }));
        assert!(matches!(refused(on(&[usize::MAX])), CreateError::Affinity { .. }));
        let fifo =
            |priority| ThreadOptions { fifo_priority: Some(priority), ..ThreadOptions::default() };
        for priority in [0, 100, 255] {
            let error = refused(fifo(priority));
            assert!(matches!(error, CreateError::Scheduling { .. }), "{error}");
            assert!(std::error::Error::source(&error).is_some());
        }
        let error = refused(ThreadOptions::named("two\0names"));
        assert!(matches!(error, CreateError::Name { what: "thread", .. }));
    }

    #[test]
    fn a_fifo_thread_is_one_or_says_why_not() {
        let (sender, receiver) = channel();
        let options = ThreadOptions { fifo_priority: Some(7), ..ThreadOptions::named("fifo") };
        let thread = spawn(options, move || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // Fields 40 and 41 of proc(5), counted from behind the name.
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            sender.send((fields[37].to_owned(), fields[38].to_owned())).unwrap();
        });
        match thread {
            Ok(thread) => {
                thread.join().unwrap();
                assert_eq!(receiver.recv().unwrap(), ("7".to_owned(), "1".to_owned()));
            }
            Err(CreateError::Scheduling { priority: 7, source }) => {
                assert_eq!(source.kind(), io::ErrorKind::PermissionDenied);
            }
            Err(other) => panic!("{other}"),
        }
    }
}
