//! How far it is, for people at a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar on stderr, if that is a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    rounds: u64,
}

impl Progress {
    pub(crate) fn new(rounds: u32) -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{elapsed:>4} [{bar:30}] {pos}/{len} {msg}")
        {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_secs(1));
        Self { bar, rounds: rounds.into() }
    }

    /// So many contenders will have their rounds.
    pub(crate) fn expect(&self, contenders: usize) {
        self.bar.inc_length(contenders as u64 * self.rounds);
    }

    /// What is measured now.
    pub(crate) fn show(&self, suite: &str, task: &str, contender: &str) {
        self.bar.set_message(format!("{suite}: {task}: {contender}"));
    }

    /// One of them is done.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    /// Clears the line for what `print` prints.
    pub(crate) fn pause(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
