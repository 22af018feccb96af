//! A progress bar.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar on stderr, if that is a terminal.
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

    /// Adds the rounds of so many contenders to the total.
    pub(crate) fn expect(&self, contenders: usize) {
        self.bar.inc_length(contenders as u64 * self.rounds);
    }

    /// Shows the current measurement.
    pub(crate) fn show(&self, suite: &str, task: &str, contender: &str) {
        self.bar.set_message(format!("{suite}: {task}: {contender}"));
    }

    /// Counts one round of one contender.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    /// Clears the bar while `print` prints.
    pub(crate) fn pause(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
