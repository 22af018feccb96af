//! Whether the board sends, from the bytes and frames that arrive.

use std::time::{Duration, Instant};

use cortex_std::wire::link::Stats;

/// A board sends a hello each second: after so long without a valid frame it is silent.
const QUIET: Duration = Duration::from_secs(3);
/// Bytes without a valid frame that are no remainder of a frame or of a board's start message.
const GARBLED_BYTES: u64 = 256;

/// The state of the link to the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The port is not open.
    Closed,
    /// Valid frames arrive, or the port was opened a moment ago.
    Receiving,
    /// Nothing has arrived for this time.
    Silent(Duration),
    /// This number of bytes has arrived since the last valid frame.
    Garbled(u64),
}

impl State {
    /// The name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Receiving => "receiving",
            Self::Silent(_) => "silent",
            Self::Garbled(_) => "garbled",
        }
    }
}

/// Follows the state of the link. It has no clock: the caller gives the time.
#[derive(Debug)]
pub(super) struct Liveness {
    is_open: bool,
    stats: Stats,
    /// When the last valid frame arrived, or the port was opened.
    last_frame: Instant,
    /// Received bytes at that time.
    bytes_then: u64,
    last_byte: Instant,
}

impl Liveness {
    pub(super) fn new(now: Instant) -> Self {
        let stats = Stats::default();
        Self { is_open: false, stats, last_frame: now, bytes_then: 0, last_byte: now }
    }

    pub(super) fn opened(&mut self, now: Instant) {
        *self = Self {
            is_open: true,
            stats: self.stats,
            last_frame: now,
            bytes_then: self.stats.bytes,
            last_byte: now,
        };
    }

    pub(super) fn closed(&mut self) {
        self.is_open = false;
    }

    /// Takes the counters of the receiver.
    pub(super) fn observe(&mut self, stats: Stats, now: Instant) {
        if stats.bytes != self.stats.bytes {
            self.last_byte = now;
        }
        if stats.frames != self.stats.frames {
            self.last_frame = now;
            self.bytes_then = stats.bytes;
        }
        self.stats = stats;
    }

    pub(super) fn state(&self, now: Instant) -> State {
        let since = |time: Instant| now.saturating_duration_since(time);
        let garbled = self.stats.bytes.saturating_sub(self.bytes_then);
        match since(self.last_frame) {
            _ if !self.is_open => State::Closed,
            quiet if quiet < QUIET => State::Receiving,
            _ if since(self.last_byte) < QUIET && garbled >= GARBLED_BYTES => {
                State::Garbled(garbled)
            }
            quiet => State::Silent(quiet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_garbled_bytes_are_recognised_and_end_with_a_frame() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let stats = |bytes, frames| {
            let mut stats = Stats::default();
            (stats.bytes, stats.frames) = (bytes, frames);
            stats
        };
        let mut link = Liveness::new(start);
        assert_eq!(link.state(at(9000)), State::Closed);
        link.opened(at(0));
        assert_eq!(link.state(at(2999)), State::Receiving);
        assert_eq!(link.state(at(3000)), State::Silent(Duration::from_secs(3)));
        // A few bytes are no sign of a wrong rate, many are.
        link.observe(stats(100, 0), at(3500));
        assert_eq!(link.state(at(4000)), State::Silent(Duration::from_secs(4)));
        link.observe(stats(5000, 0), at(4000));
        assert_eq!(link.state(at(4000)), State::Garbled(5000));
        link.observe(stats(5100, 1), at(5000));
        assert_eq!(link.state(at(7000)), State::Receiving);
        // Its last line is not repeated when the board falls silent.
        assert_eq!(link.state(at(12_000)), State::Silent(Duration::from_secs(7)));
        link.closed();
        assert_eq!(link.state(at(12_000)), State::Closed);
        link.opened(at(13_000));
        assert_eq!(link.state(at(13_000)), State::Receiving);
    }
}
