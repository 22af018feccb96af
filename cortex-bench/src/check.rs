//! Targets: limits for ratios, and whether they were reached.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::stats::Summary;

/// A limit for a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// No limit: the ratio is shown for comparison.
    Shown,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    Reached,
    /// Outside the limit, but in proportion by no more than the floor differs from itself.
    WithinNoise,
    Missed,
}

/// A limit and the measured ratio.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Check {
    /// The task, the column and the two contenders.
    pub(crate) claim: String,
    pub(crate) bound: Bound,
    pub(crate) ratio: Summary,
    /// The ratio of the floor's twin to the floor.
    pub(crate) noise: Option<Summary>,
}

impl Check {
    pub(crate) fn verdict(&self) -> Verdict {
        let ratio = self.ratio.median;
        let (is_inside, is_noise) = match self.bound {
            Bound::AtMost(limit) => {
                (ratio <= limit, self.noise.is_some_and(|noise| ratio <= limit * noise.high))
            }
            Bound::AtLeast(limit) => {
                (ratio >= limit, self.noise.is_some_and(|noise| ratio >= limit * noise.low))
            }
            Bound::Shown => (true, true),
        };
        match (is_inside, is_noise) {
            (true, _) => Verdict::Reached,
            (false, true) => Verdict::WithinNoise,
            (false, false) => Verdict::Missed,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { median, low, high } = self.ratio;
        let verdict = match (self.bound, self.verdict()) {
            (Bound::Shown, _) => "A/A",
            (_, Verdict::Reached) => "reached",
            (_, Verdict::WithinNoise) => "within A/A",
            (_, Verdict::Missed) => "MISSED",
        };
        let limit = match self.bound {
            Bound::AtMost(limit) => format!("<= {limit:.2}"),
            Bound::AtLeast(limit) => format!(">= {limit:.2}"),
            Bound::Shown => String::new(),
        };
        write!(f, "{verdict:<10} {median:>5.2} ({low:.2}..{high:.2}) {limit:<7}")?;
        match self.noise {
            Some(noise) => write!(f, "  A/A {:.2}..{:.2}", noise.low, noise.high)?,
            None => write!(f, "  {:14}", "")?,
        }
        write!(f, "  {}", self.claim)
    }
}

/// The name of a contender's twin: the same contender once more, whose ratio to the first shows the
/// noise of the machine.
pub(crate) fn twin_name(contender: &str) -> String {
    format!("{contender} again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(median: f64, bound: Bound, noise: Option<(f64, f64)>) -> Verdict {
        let of = |low, high, median| Summary { median, low, high };
        let noise = noise.map(|(low, high)| of(low, high, 1.0));
        Check { claim: String::new(), bound, ratio: of(median, median, median), noise }.verdict()
    }

    #[test]
    fn a_limit_is_missed_only_outside_of_the_noise() {
        assert_eq!(check(1.05, Bound::AtMost(1.1), None), Verdict::Reached);
        assert_eq!(check(1.2, Bound::AtMost(1.1), Some((0.9, 1.3))), Verdict::WithinNoise);
        assert_eq!(check(1.5, Bound::AtMost(1.1), Some((0.9, 1.3))), Verdict::Missed);
        assert_eq!(
            check(0.6, Bound::AtMost(0.5), Some((0.8, 1.1))),
            Verdict::Missed,
            "in proportion"
        );
        assert_eq!(check(2.9, Bound::AtLeast(4.0), Some((0.9, 1.1))), Verdict::Missed);
        assert_eq!(check(3.7, Bound::AtLeast(4.0), Some((0.9, 1.1))), Verdict::WithinNoise);
        assert_eq!(check(1.4, Bound::AtMost(1.1), None), Verdict::Missed);
        assert_eq!(check(0.95, Bound::AtLeast(0.9), None), Verdict::Reached);
        assert_eq!(check(0.85, Bound::AtLeast(0.9), Some((0.8, 1.1))), Verdict::WithinNoise);
        assert_eq!(check(0.7, Bound::AtLeast(0.9), Some((0.8, 1.1))), Verdict::Missed);
        assert_eq!(check(0.75, Bound::AtLeast(0.9), Some((0.8, 1.1))), Verdict::WithinNoise);
    }
}
