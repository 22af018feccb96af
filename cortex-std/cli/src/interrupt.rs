//! Ctrl-C, SIGTERM and SIGHUP as a flag, for commands that end with a summary.

use std::io::{IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cortex_std::inspect::ignores_signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

/// How long a command may take to end after a signal, such as for its summary. A command whose output is not
/// read would wait for ever.
const GRACE: Duration = Duration::from_secs(5);
/// Longest time between a signal and the end of a wait.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

static INTERRUPT: OnceLock<Interrupt> = OnceLock::new();

/// Erases the `^C` that the terminal echoed, if a signal arrived.
pub(crate) fn erase_echoed_key() {
    if INTERRUPT.get().is_some_and(Interrupt::is_set) && std::io::stdout().is_terminal() {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(b"\r\x1b[J").and_then(|()| out.flush());
    }
}

/// A flag that SIGINT, SIGTERM and SIGHUP set; a SIGHUP that is ignored, as under `nohup`, stays ignored.
///
/// The first call of [`Interrupt::get`] installs the handlers. The first signal then sets the flag;
/// the second one ends the process at once, and so do five seconds. This is safe for the terminal, whose mode is never
/// changed.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    flag: Arc<AtomicBool>,
}

impl Interrupt {
    pub(crate) fn get() -> Self {
        let make = || {
            let flag = Arc::new(AtomicBool::new(false));
            let number = Arc::new(AtomicUsize::new(0));
            let deadlines = UnixStream::pair().ok();
            for signal in [SIGINT, SIGTERM, SIGHUP] {
                if signal == SIGHUP && ignores_signal(signal) {
                    continue;
                }
                // If a handler cannot be installed, the signal keeps its default action.
                let _ = flag::register_conditional_shutdown(signal, 128 + signal, flag.clone());
                let _ = flag::register(signal, Arc::clone(&flag));
                let value = usize::try_from(signal).unwrap_or(0);
                let _ = flag::register_usize(signal, Arc::clone(&number), value);
                if let Some(writer) = deadlines.as_ref().and_then(|(end, _)| end.try_clone().ok()) {
                    let _ = pipe::register(signal, writer);
                }
            }
            if let Some((_, reader)) = deadlines {
                let name = "cortex-interrupt".to_owned();
                let _ = std::thread::Builder::new()
                    .name(name)
                    .spawn(move || end_in_time(reader, &number));
            }
            Self { flag }
        };
        INTERRUPT.get_or_init(make).clone()
    }

    pub(crate) fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Waits until the flag is set, at most for `time`.
    pub(crate) fn wait(&self, time: Duration) {
        let end = Instant::now().checked_add(time);
        while !self.is_set() {
            let left = match end {
                Some(end) => end.saturating_duration_since(Instant::now()),
                None => POLL_INTERVAL,
            };
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(POLL_INTERVAL));
        }
    }
}

/// Ends the process some time after the signal that writes to the other end of `reader`.
fn end_in_time(mut reader: UnixStream, number: &AtomicUsize) {
    if reader.read_exact(&mut [0]).is_ok() {
        std::thread::sleep(GRACE);
        // As a shell reports a program that a signal ended.
        std::process::exit(128 + i32::try_from(number.load(Ordering::SeqCst)).unwrap_or(SIGINT));
    }
}
