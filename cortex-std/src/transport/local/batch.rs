//! Small messages of a busy topic that share one write.

use std::time::{Duration, Instant};

use super::encoder::Encoder;
use crate::transport::socket::Part;

/// The longest encoded message that is coalesced.
const COALESCED_LEN: usize = 16 * 1024;
/// Bytes of the largest batch.
const BATCH_LEN: usize = 64 * 1024;
/// A batch is sent with the first message after this time.
const BATCH_DELAY: Duration = Duration::from_micros(50);
/// A batch is sent by the event thread after this time: the end of a burst.
const TAIL_DELAY: Duration = Duration::from_micros(200);
/// Messages that follow each other more closely than this are a burst.
const BURST_GAP: Duration = Duration::from_micros(5);
/// A shorter pause only weakens a burst: the thread was not scheduled.
const BURST_PAUSE: Duration = Duration::from_millis(1);
/// Messages of a burst that are sent at once, before the following ones are coalesced.
const BURST_START: u32 = 16;
/// The strongest burst; each pause halves it.
const BURST_MAX: u32 = 4 * BURST_START;
/// While a batch waits, one of so many messages reads the clock: the event thread sends the batch in time
/// in any case.
const UNTIMED: usize = 4;

/// Whether messages are published so quickly that they are worth coalescing.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// When the last message was sent or coalesced.
    last: Option<Instant>,
    messages: u32,
}

impl Burst {
    /// Counts a message that is published now; true if it may be coalesced.
    pub(super) fn record(&mut self, now: Instant) -> bool {
        let gap = self.last.map_or(Duration::MAX, |last| now.saturating_duration_since(last));
        self.last = Some(now);
        self.messages = if gap < BURST_GAP {
            self.messages.saturating_add(1).min(BURST_MAX)
        } else if gap < BURST_PAUSE {
            self.messages / 2
        } else {
            0
        };
        self.messages >= BURST_START
    }

    /// The time until now was spent sending: it is no pause of the caller.
    pub(super) fn resume(&mut self, now: Instant) {
        self.last = Some(now);
    }
}

/// Encoded messages of one topic that wait.
#[derive(Debug, Default)]
pub(super) struct Batch {
    encoder: Encoder,
    since: Option<Instant>,
    /// Whether the event thread will call [`flush_tail`](super::peers::Peers::flush_tail).
    is_timed: bool,
}

impl Batch {
    /// Whether a message of `len` encoded bytes is short enough.
    pub(super) fn accepts(len: usize) -> bool {
        len <= COALESCED_LEN
    }

    /// Whether the batch has room for a message of `len` bytes, of at most `limit` messages.
    fn has_room(&self, len: usize, limit: usize) -> bool {
        self.encoder.len().saturating_add(len) <= BATCH_LEN && self.messages() < limit
    }

    /// Whether the message is added to a batch that waits without a look at the clock.
    pub(super) fn takes_untimed(&self, len: usize, limit: usize) -> bool {
        !self.messages().is_multiple_of(UNTIMED) && Self::accepts(len) && self.has_room(len, limit)
    }

    /// Whether the batch must be sent before a message of `len` bytes is added. Of at most `limit` messages.
    pub(super) fn is_due(&self, len: usize, limit: usize, now: Instant) -> bool {
        let is_old = |since| now.saturating_duration_since(since) >= BATCH_DELAY;
        !self.has_room(len, limit) || self.since.is_some_and(is_old)
    }

    /// Adds a message.
    pub(super) fn push(&mut self, parts: &[Part<'_>]) {
        self.encoder.append(parts);
    }

    /// Adds a message now; returns when the event thread must call, unless it will.
    pub(super) fn push_at(&mut self, parts: &[Part<'_>], now: Instant) -> Option<Instant> {
        self.push(parts);
        if self.since.is_some() {
            return None;
        }
        self.since = Some(now);
        (!std::mem::replace(&mut self.is_timed, true)).then(|| now + TAIL_DELAY)
    }

    pub(super) fn messages(&self) -> usize {
        self.encoder.messages()
    }

    pub(super) fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The messages are sent.
    pub(super) fn clear(&mut self) {
        self.encoder.clear();
        self.since = None;
    }

    /// The event thread calls: whether the batch waits for too long, and when to call again.
    pub(super) fn tail(&mut self, now: Instant) -> (bool, Option<Instant>) {
        let due = self.since.map(|since| since + TAIL_DELAY);
        let is_due = due.is_some_and(|due| due <= now);
        let again = if is_due { None } else { due };
        self.is_timed = again.is_some();
        (is_due, again)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_topics_messages_are_sent_at_once_and_a_bursts_are_coalesced() {
        let mut burst = Burst::default();
        let mut now = Instant::now();
        let mut publish = |gap: Duration| {
            now += gap;
            burst.record(now)
        };
        for gap in [10, 100, 1000, 10_000] {
            assert!((0..1000).all(|_| !publish(Duration::from_micros(gap))), "every {gap} us");
        }
        let quick = Duration::from_micros(1);
        let at_once = (0..1000).take_while(|_| !publish(quick)).count();
        assert_eq!(at_once, BURST_START as usize - 1, "in front of which there is the first");
        assert!((0..1000).all(|_| publish(quick)));
        assert!(publish(Duration::from_micros(900)), "the thread was not scheduled");
        assert!(!publish(BURST_PAUSE), "the burst has ended");
    }

    #[test]
    fn a_slow_write_does_not_end_a_burst() {
        let mut burst = Burst::default();
        let mut now = Instant::now();
        while !burst.record(now) {
            now += Duration::from_micros(1);
        }
        for _ in 0..100 {
            now += BURST_PAUSE;
            burst.resume(now);
            now += Duration::from_micros(1);
            assert!(burst.record(now));
        }
    }

    #[test]
    fn a_batch_is_due_by_length_count_and_age() {
        let now = Instant::now();
        let mut batch = Batch::default();
        assert!(!batch.is_due(100, 1, now));
        let parts = [Part::Copy(b"/t"), Part::Copy(b"x")];
        assert!(!batch.takes_untimed(7, 10), "the first message reads the clock");
        assert_eq!(batch.push_at(&parts, now), Some(now + TAIL_DELAY));
        assert!(batch.takes_untimed(7, 10) && !batch.takes_untimed(7, 1));
        assert!(!batch.takes_untimed(COALESCED_LEN + 1, 10));
        assert_eq!((batch.encoder().len(), batch.messages()), (7, 1));
        assert!(batch.is_due(100, 1, now) && !batch.is_due(100, 2, now));
        assert!(batch.is_due(BATCH_LEN, 2, now) && batch.is_due(100, 2, now + BATCH_DELAY));
        assert_eq!(batch.push_at(&parts, now), None, "the event thread will call");
        let early = now + BATCH_DELAY;
        assert_eq!(batch.tail(early), (false, Some(now + TAIL_DELAY)));
        assert_eq!(batch.tail(now + TAIL_DELAY), (true, None));
        batch.clear();
        assert_eq!(batch.tail(now + TAIL_DELAY), (false, None));
        assert_eq!(batch.push_at(&parts, now), Some(now + TAIL_DELAY), "again");
    }
}
