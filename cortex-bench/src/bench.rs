//! The settings of a run, which every suite receives.

use crate::progress::Progress;

/// The number and the length of measurements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: u32,
    /// Whether rounds are short: for a first impression, not for figures to quote.
    pub(crate) quick: bool,
}

impl Effort {
    /// The length of a round: `full` seconds, or an eighth of it in quick runs.
    pub(crate) fn seconds(self, full: f64) -> f64 {
        if self.quick { full / 8.0 } else { full }
    }
}

/// The settings of a run.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) effort: Effort,
    pub(crate) progress: Progress,
    /// Whether the Python contenders take part.
    pub(crate) has_python: bool,
    /// Whether the contenders of `peers-rs` take part.
    pub(crate) has_peers: bool,
}
