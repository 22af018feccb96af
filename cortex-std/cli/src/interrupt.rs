//! Ctrl-C and SIGTERM, for commands that end with a summary.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// How soon a signal is noticed.
const LOOK: Duration = Duration::from_millis(20);

/// Wipes the ^C away that the terminal wrote, if a signal came.
pub(crate) fn wipe() {
    if SET.get().is_some_and(Interrupt::is_set) && std::io::stdout().is_terminal() {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(b"\r\x1b[J").and_then(|()| out.flush());
    }
}

static SET: OnceLock<Interrupt> = OnceLock::new();

/// Whether the user wants the command to end.
///
/// From the first use on a signal only sets the flag; a second one ends the process, which leaves
/// nothing behind on the terminal: no mode of it is ever changed.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt {
    flag: Arc<AtomicBool>,
}

impl Interrupt {
    pub(crate) fn get() -> Self {
        let make = || {
            let flag = Arc::new(AtomicBool::new(false));
            for signal in [SIGINT, SIGTERM] {
                // Where the system has no handler left the signal does what it always did.
                let _ = flag::register_conditional_shutdown(signal, 128 + signal, flag.clone());
                let _ = flag::register(signal, Arc::clone(&flag));
            }
            Self { flag }
        };
        SET.get_or_init(make).clone()
    }

    pub(crate) fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Waits so long, or until it is set.
    pub(crate) fn wait(&self, time: Duration) {
        let end = Instant::now().checked_add(time);
        while !self.is_set() {
            let left = match end {
                Some(end) => end.saturating_duration_since(Instant::now()),
                None => LOOK,
            };
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}
