//! Sequence numbers: gaps, repetitions and restarts.

use crate::header::Header;

/// Compares the sequence numbers of a publisher's messages, as subscribers do to count losses; for
/// tools and boards that receive frames.
///
/// # Examples
///
/// ```
/// use cortex_wire::{Header, SequenceTracker, Step};
///
/// let header = |sequence| Header { fingerprint: 0, timestamp_ns: sequence, sequence };
/// let mut tracker = SequenceTracker::default();
/// assert_eq!(tracker.step(&header(7)), Step::Next);
/// assert_eq!(tracker.step(&header(10)), Step::Lost(2));
/// assert_eq!(tracker.step(&header(0)), Step::Restarted);
/// ```
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SequenceTracker {
    last: Option<(u64, u64)>,
    /// The next message is another publisher's.
    is_moved: bool,
}

/// What the sequence number of a message says about the messages before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Step {
    /// The first message, or the successor of the last one.
    Next,
    /// This number of messages was lost before it.
    Lost(u64),
    /// The last message again, unchanged: a latched publisher repeats it for a new subscriber.
    Repeated,
    /// The publisher restarted; how many messages it sent before this one is unknown.
    Restarted,
}

impl SequenceTracker {
    /// The next message is another publisher's, whatever its sequence number.
    pub const fn moved(&mut self) {
        self.is_moved = self.last.is_some();
    }

    /// Records a message that is rejected: it does not count as lost if it has the expected number. Any
    /// other number is ignored.
    pub fn record_rejected(&mut self, header: &Header) {
        let Some((sequence, _)) = self.last else { return };
        if !self.is_moved && sequence.checked_add(1) == Some(header.sequence) {
            self.last = Some((header.sequence, header.timestamp_ns));
        }
    }

    /// Compares a message with the previous one and records it.
    pub fn step(&mut self, header: &Header) -> Step {
        let Some((sequence, timestamp_ns)) = self.last else {
            self.last = Some((header.sequence, header.timestamp_ns));
            return Step::Next;
        };
        if header.sequence == sequence && header.timestamp_ns == timestamp_ns {
            return Step::Repeated;
        }
        self.last = Some((header.sequence, header.timestamp_ns));
        if core::mem::take(&mut self.is_moved) {
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
        // A late subscriber has lost nothing.
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
    fn a_rejected_message_with_the_expected_number_is_not_lost() {
        let mut tracker = SequenceTracker::default();
        tracker.record_rejected(&header(7, 1));
        assert_eq!(tracker.step(&header(41, 2)), Step::Next);
        tracker.record_rejected(&header(42, 3));
        // Garbage.
        tracker.record_rejected(&header(1 << 60, 4));
        assert_eq!(tracker.step(&header(43, 5)), Step::Next);
    }

    #[test]
    fn another_publisher_is_a_restart_at_any_sequence_number() {
        let mut tracker = SequenceTracker::default();
        tracker.moved();
        assert_eq!(tracker.step(&header(7, 1)), Step::Next);
        tracker.moved();
        assert_eq!(tracker.step(&header(90, 2)), Step::Restarted);
        assert_eq!(tracker.step(&header(91, 3)), Step::Next);
    }
}
