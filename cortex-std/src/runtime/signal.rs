//! Ctrl-C, SIGTERM and SIGHUP: listeners are notified, and a process that does not end in time is ended by force.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level;

use crate::mutex::Mutex;
use crate::stop::timespec;

/// After a signal, how long the thread that runs a node has to close it; then this module closes it.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// After a signal, when the process is ended by force.
const EXIT_TIMEOUT: Duration = Duration::from_millis(1700);
/// How long closing may take after a second signal.
const SECOND_SIGNAL_TIMEOUT: Duration = Duration::from_millis(300);
/// Signals within this time count as one: `timeout` and other supervisors signal a process and its group.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

/// Is notified of a signal.
pub(crate) trait Listener: Send + Sync {
    /// For log lines.
    fn name(&self) -> &str;
    /// Called at the signal; returns at once.
    fn request_shutdown(&self);
    /// Called when the listener does not end in time; may block.
    fn close(&self);
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    id: u64,
}

struct Watch {
    is_started: bool,
    next_id: u64,
    listeners: Vec<(u64, Arc<dyn Listener>)>,
    last: Option<Instant>,
    ending: Option<Ending>,
}

/// What follows a signal.
struct Ending {
    signal: i32,
    /// Listeners from this id on came after the signal.
    before: u64,
    close_at: Instant,
    exit_at: Instant,
    is_closing: bool,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch {
    is_started: false,
    next_id: 0,
    listeners: Vec::new(),
    last: None,
    ending: None,
});

/// Notifies `listener` of the next SIGINT, SIGTERM or SIGHUP, until the guard is dropped. A SIGHUP that is
/// ignored, as under `nohup`, stays ignored.
///
/// From the first call on a thread handles the signals of this process. Without a listener they have
/// their default effect: they end the process.
///
/// # Errors
///
/// When the system has no thread, no file descriptor or no signal handler for it.
pub(crate) fn listen(listener: Arc<dyn Listener>) -> io::Result<Listening> {
    let mut watch = WATCH.lock();
    if !watch.is_started {
        start()?;
        watch.is_started = true;
    }
    let id = watch.next_id;
    watch.next_id = id.wrapping_add(1);
    watch.listeners.push((id, listener));
    Ok(Listening { id })
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut watch = WATCH.lock();
        let at = watch.listeners.iter().position(|(id, _)| *id == self.id);
        let listener = at.map(|at| watch.listeners.swap_remove(at));
        if watch.late().next().is_none() {
            watch.ending = None;
        }
        drop(watch);
        // Outside of the lock: it may be the last handle to a node.
        drop(listener);
    }
}

/// Until when parts may be closed, if a signal requested the end of the process; a little before the end by
/// force.
pub(crate) fn close_deadline() -> Option<Instant> {
    let margin = Duration::from_millis(200);
    WATCH.lock().ending.as_ref().and_then(|ending| ending.exit_at.checked_sub(margin))
}

fn start() -> io::Result<()> {
    let mut sources = Vec::new();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if signal == SIGHUP && ignores_signal(signal) {
            continue;
        }
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        sources.push((signal, reader));
        low_level::pipe::register(signal, writer)?;
    }
    std::thread::Builder::new().name("cortex-signal".to_owned()).spawn(move || run(sources))?;
    Ok(())
}

/// Whether the process ignores a signal, as one that `nohup` started ignores SIGHUP.
#[must_use]
pub fn ignores_signal(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let bit = u32::try_from(signal).ok().and_then(|signal| signal.checked_sub(1));
    bit.is_some_and(|bit| mask.checked_shr(bit).unwrap_or(0) & 1 == 1)
}

fn run(mut sources: Vec<(i32, UnixStream)>) {
    loop {
        let now = Instant::now();
        let left = WATCH.lock().run_due(now).map(|at| timespec(at.saturating_duration_since(now)));
        let mut fds: Vec<_> =
            sources.iter().map(|(_, reader)| PollFd::new(reader, PollFlags::IN)).collect();
        // The loop handles all events, whichever ended the wait.
        let _ = poll(&mut fds, left.as_ref());
        for (signal, reader) in &mut sources {
            if reader.read(&mut [0; 64]).is_ok_and(|count| count > 0) {
                WATCH.lock().record_signal(*signal, Instant::now());
            }
        }
    }
}

impl Watch {
    /// The listeners that were notified and have not ended.
    fn late(&self) -> impl Iterator<Item = &Arc<dyn Listener>> {
        let before = self.ending.as_ref().map_or(0, |ending| ending.before);
        self.listeners.iter().filter(move |(id, _)| *id < before).map(|(_, listener)| listener)
    }

    fn record_signal(&mut self, signal: i32, now: Instant) {
        let is_same =
            self.last.is_some_and(|last| now.saturating_duration_since(last) < SAME_SIGNAL);
        self.last = Some(now);
        if let Some(ending) = &mut self.ending {
            if !is_same {
                ending.close_at = now;
                ending.exit_at = ending.exit_at.min(now + SECOND_SIGNAL_TIMEOUT);
            }
        } else if self.listeners.is_empty() {
            if !is_same {
                // The default effect; returns only if the process goes on.
                let _ = low_level::emulate_default_handler(signal);
            }
        } else {
            for (_, listener) in &self.listeners {
                listener.request_shutdown();
            }
            self.ending = Some(Ending {
                signal,
                before: self.next_id,
                close_at: now + CLOSE_TIMEOUT,
                exit_at: now + EXIT_TIMEOUT,
                is_closing: false,
            });
        }
    }

    /// Does what is due; returns when something is due next.
    fn run_due(&mut self, now: Instant) -> Option<Instant> {
        let ending = self.ending.as_ref()?;
        if now >= ending.exit_at {
            force_exit(ending.signal, self.late().map(|late| late.name().to_owned()).collect());
        }
        if ending.is_closing {
            return Some(ending.exit_at);
        }
        if now < ending.close_at {
            return Some(ending.close_at);
        }
        for listener in self.late() {
            let listener = Arc::clone(listener);
            let closing = std::thread::Builder::new().name("cortex-close".to_owned());
            if let Err(error) = closing.spawn(move || listener.close()) {
                tracing::error!(%error, "cannot start a thread to close a node");
            }
        }
        let ending = self.ending.as_mut()?;
        ending.is_closing = true;
        Some(ending.exit_at)
    }
}

fn force_exit(signal: i32, late: Vec<String>) -> ! {
    // The thread that blocks may hold the lock of the log.
    let log = std::thread::Builder::new().name("cortex-exit".to_owned()).spawn(move || {
        tracing::error!(?late, signal, "a callback does not return: forced exit");
    });
    if log.is_ok() {
        std::thread::sleep(Duration::from_millis(50));
    }
    low_level::exit(signal.saturating_add(128))
}

#[cfg(feature = "tokio")]
#[derive(Default)]
struct Waiter {
    notify: tokio::sync::Notify,
}

#[cfg(feature = "tokio")]
impl Listener for Waiter {
    fn name(&self) -> &str {
        "shutdown_signal"
    }

    fn request_shutdown(&self) {
        self.notify.notify_one();
    }

    fn close(&self) {}
}

/// Waits for Ctrl-C, SIGTERM or SIGHUP, such as that of a closed terminal.
///
/// When a signal arrives and this future is not polled for two seconds, because its thread is blocked, the
/// process is ended with code 128 plus the signal's number.
///
/// # Errors
///
/// When the system has no thread or file descriptor to listen for signals with.
///
/// # Cancel safety
///
/// A signal before the call is not reported.
#[cfg(feature = "tokio")]
pub async fn shutdown_signal() -> io::Result<()> {
    let waiter = Arc::<Waiter>::default();
    let _listening = listen(waiter.clone())?;
    waiter.notify.notified().await;
    Ok(())
}
