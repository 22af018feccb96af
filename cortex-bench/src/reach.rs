//! What is to be reached, and whether it was.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::report::Suite;
use crate::stats::Summary;

/// A limit for a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// None: it is shown to compare others with.
    Shown,
}

/// How it turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    Reached,
    /// Outside of the limit, by no more than the floor differs from itself.
    WithinNoise,
    Missed,
}

/// One limit, and what was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Check {
    /// Who in what, against whom.
    pub(crate) claim: String,
    pub(crate) bound: Bound,
    pub(crate) ratio: Summary,
    /// The floor against itself.
    pub(crate) noise: Option<Summary>,
}

impl Check {
    pub(crate) fn verdict(&self) -> Verdict {
        let ratio = self.ratio.median;
        let (is_inside, is_noise) = match self.bound {
            Bound::AtMost(limit) => {
                (ratio <= limit, self.noise.is_some_and(|noise| ratio <= noise.high))
            }
            Bound::AtLeast(limit) => {
                (ratio >= limit, self.noise.is_some_and(|noise| ratio >= noise.low))
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

impl Suite {
    /// Checks `contender` against `other` in one task and column; nothing if one of them was left out.
    pub(crate) fn check(
        &mut self,
        task: &str,
        column: usize,
        contender: &str,
        other: &str,
        bound: Bound,
    ) {
        let Some(ratio) = self.ratio(task, column, contender, other) else { return };
        let again = again(&self.floor);
        let noise = self.ratio(task, column, &again, &self.floor);
        let name = &self.columns[column].name;
        let claim = format!("{task}: {name} of {contender} against {other}");
        self.checks.push(Check { claim, bound, ratio, noise });
    }

    /// Shows how the floor stands to itself.
    pub(crate) fn check_floor(&mut self, task: &str, column: usize) {
        let floor = self.floor.clone();
        self.check(task, column, &again(&floor), &floor, Bound::Shown);
    }
}

/// The name of a contender's twin, whose ratio to it shows what the machine makes of equals.
pub(crate) fn again(contender: &str) -> String {
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
    fn a_limit_is_missed_outside_of_it_and_of_the_noise() {
        assert_eq!(check(1.05, Bound::AtMost(1.1), None), Verdict::Reached);
        assert_eq!(check(1.2, Bound::AtMost(1.1), Some((0.9, 1.3))), Verdict::WithinNoise);
        assert_eq!(check(1.4, Bound::AtMost(1.1), Some((0.9, 1.3))), Verdict::Missed);
        assert_eq!(check(1.4, Bound::AtMost(1.1), None), Verdict::Missed);
        assert_eq!(check(0.95, Bound::AtLeast(0.9), None), Verdict::Reached);
        assert_eq!(check(0.85, Bound::AtLeast(0.9), Some((0.8, 1.1))), Verdict::WithinNoise);
        assert_eq!(check(0.7, Bound::AtLeast(0.9), Some((0.8, 1.1))), Verdict::Missed);
    }
}
