//! What a step in a publisher's numbers means.

use crate::wire::Header;

/// The last message of a publisher, to compare the next with: what subscribers count losses with, for
/// tools that receive [`raw`](crate::raw) frames.
///
/// # Examples
///
/// ```
/// use cortex_std::wire::Header;
/// use cortex_std::{SequenceTracker, Step};
///
/// let header = |sequence| Header { fingerprint: 0, timestamp_ns: sequence, sequence };
/// let mut tracker = SequenceTracker::default();
/// assert_eq!(tracker.step(&header(7)), Step::Next);
/// assert_eq!(tracker.step(&header(10)), Step::Lost(2));
/// assert_eq!(tracker.step(&header(0)), Step::Restarted);
/// ```
#[derive(Debug, Default)]
pub struct SequenceTracker {
    last: Option<(u64, u64)>,
    /// The next message comes from another publisher.
    is_moved: bool,
}

/// What the number of a message says about those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The first one seen, or the one after the last.
    Next,
    /// So many were lost before it.
    Lost(u64),
    /// The last one again, unchanged: a latched publisher repeats it for somebody else.
    Repeated,
    /// The publisher started anew; what it sent before this one is not known.
    Restarted,
}

impl SequenceTracker {
    /// What comes next is another publisher's, whatever its number.
    pub fn moved(&mut self) {
        self.is_moved = self.last.is_some();
    }

    /// A message that is not delivered: its number is not lost if it is the one that was to come.
    /// Any other number is not believed.
    pub fn pass_over(&mut self, header: &Header) {
        let Some((sequence, _)) = self.last else { return };
        if !self.is_moved && sequence.checked_add(1) == Some(header.sequence) {
            self.last = Some((header.sequence, header.timestamp_ns));
        }
    }

    /// Compares a message with the one before, and remembers it.
    pub fn step(&mut self, header: &Header) -> Step {
        let Some((sequence, timestamp_ns)) = self.last else {
            self.last = Some((header.sequence, header.timestamp_ns));
            return Step::Next;
        };
        if header.sequence == sequence && header.timestamp_ns == timestamp_ns {
            return Step::Repeated;
        }
        self.last = Some((header.sequence, header.timestamp_ns));
        if std::mem::take(&mut self.is_moved) {
            return Step::Restarted;
        }
        match header.sequence.checked_sub(sequence) {
            None | Some(0) => Step::Restarted,
            Some(1) => Step::Next,
            Some(ahead) => Step::Lost(ahead.saturating_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u64, timestamp_ns: u64) -> Header {
        Header { fingerprint: 0, timestamp_ns, sequence }
    }

    #[test]
    fn gaps_are_losses_and_steps_back_are_restarts() {
        let mut tracker = SequenceTracker::default();
        // A late joiner has lost nothing that it asked for.
        assert_eq!(tracker.step(&header(41, 1)), Step::Next);
        assert_eq!(tracker.step(&header(42, 2)), Step::Next);
        assert_eq!(tracker.step(&header(45, 3)), Step::Lost(2));
        assert_eq!(tracker.step(&header(45, 3)), Step::Repeated);
        assert_eq!(tracker.step(&header(0, 4)), Step::Restarted);
        assert_eq!(tracker.step(&header(1, 5)), Step::Next);
        assert_eq!(tracker.step(&header(1, 9)), Step::Restarted);
        assert_eq!(tracker.step(&header(u64::MAX, 10)), Step::Lost(u64::MAX - 2));
    }

    #[test]
    fn what_is_rejected_in_its_turn_is_not_lost() {
        let mut tracker = SequenceTracker::default();
        tracker.pass_over(&header(7, 1));
        assert_eq!(tracker.step(&header(41, 2)), Step::Next);
        tracker.pass_over(&header(42, 3));
        // Garbage.
        tracker.pass_over(&header(1 << 60, 4));
        assert_eq!(tracker.step(&header(43, 5)), Step::Next);
    }

    #[test]
    fn another_publisher_is_a_restart_whatever_its_numbers() {
        let mut tracker = SequenceTracker::default();
        tracker.moved();
        assert_eq!(tracker.step(&header(7, 1)), Step::Next);
        tracker.moved();
        assert_eq!(tracker.step(&header(90, 2)), Step::Restarted);
        assert_eq!(tracker.step(&header(91, 3)), Step::Next);
    }
}
