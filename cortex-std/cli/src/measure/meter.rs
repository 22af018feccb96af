//! Statistics of the messages of one publisher, from their headers: the definitions of rate, interval,
//! silence, age and loss, which `hz`, `bw` and `delay` share.
//!
//! - *Interval*: the time between two received messages, by this machine's monotonic clock.
//! - *Rate*: received messages after the first one, by the time from the first to the last.
//! - *Published rate*: the same with the messages that were published according to their sequence
//!   numbers. No clock of the publisher takes part, so its steps change nothing.
//! - *Loss*: sequence numbers that are missing after the first received message, as a part of all.
//! - *Silence*: a publisher is silent after three of its typical intervals, the median of the last
//!   hundred, and at least two seconds. A silent publisher has no current rate.
//! - *Age* or delay: arrival by this machine's clock minus timestamp by the publisher's, if that is set
//!   and not in the future. Ages before a step of a clock are left out.
//!
//! A window is the last messages. It has no clock: the caller gives the time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cortex_std::wire::Header;
use cortex_std::{SequenceTracker, Step};

use super::clock::{ClockWatch, Stamps};
use super::distribution::{Distribution, Sizes, Times, nanoseconds};
use crate::time::Age;

/// A publisher is silent after so long without a message, unless its typical interval is longer.
const MIN_SILENCE: Duration = Duration::from_secs(2);
/// Typical intervals after which a publisher is silent.
const SILENT_INTERVALS: u32 = 3;
/// Intervals of which the typical one is the median.
const TYPICAL_COUNT: usize = 100;
/// The period over which recent values are computed.
const RECENT: Duration = Duration::from_secs(1);
/// Time for which a step of a clock is shown.
const STEP_SHOWN: Duration = Duration::from_secs(60);

/// The properties of a received message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) wall_ns: u64,
    pub(crate) header: Option<Header>,
    /// Bytes of all frames.
    pub(crate) len: usize,
}

#[derive(Debug, Clone, Copy)]
struct WindowEntry {
    at: Instant,
    /// Messages published since the previous one received, including this one.
    steps: u64,
    len: usize,
    /// `None` if the clocks do not allow a statement.
    age_ns: Option<u64>,
}

/// Statistics over a window of the last messages, and over all messages.
#[derive(Debug)]
pub(crate) struct Meter {
    window_len: usize,
    window: VecDeque<WindowEntry>,
    tracker: SequenceTracker,
    clock: ClockWatch,
    first: Option<WindowEntry>,
    last: Option<WindowEntry>,
    started: Instant,
    received: u64,
    published: u64,
    bytes: u64,
    min_len: usize,
    max_len: usize,
    lost: u64,
    restarts: u64,
    malformed: u64,
    intervals: Times,
    ages: Times,
}

impl Meter {
    /// A meter whose window holds `window_len` messages.
    pub(crate) fn new(window_len: usize, now: Instant) -> Self {
        Self {
            window_len,
            window: VecDeque::new(),
            tracker: SequenceTracker::default(),
            clock: ClockWatch::new(now),
            first: None,
            last: None,
            started: now,
            received: 0,
            published: 0,
            bytes: 0,
            min_len: usize::MAX,
            max_len: 0,
            lost: 0,
            restarts: 0,
            malformed: 0,
            intervals: Times::new(),
            ages: Times::new(),
        }
    }

    pub(crate) fn record(&mut self, sample: Sample) {
        let Some(header) = sample.header else {
            self.malformed += 1;
            return;
        };
        let step = self.tracker.step(&header);
        let steps = match step {
            // A latched message, which was sent again for another subscriber.
            Step::Repeated => return,
            Step::Next => 1,
            Step::Lost(count) => {
                self.lost = self.lost.saturating_add(count);
                count.saturating_add(1)
            }
            Step::Restarted => {
                self.restarts += 1;
                1
            }
            // A step of a later version: one message.
            _ => 1,
        };
        let Sample { at, wall_ns, len, .. } = sample;
        let stamps = Stamps { at, wall_ns, timestamp_ns: header.timestamp_ns };
        let reading = self.clock.record(stamps, step);
        if reading.is_stepped {
            self.window.iter_mut().for_each(|entry| entry.age_ns = None);
            self.ages = Times::new();
        }
        let age_ns = match reading.age {
            Age::Known(age) => Some(nanoseconds(age)),
            Age::Early(_) | Age::ClockNotSet => None,
        };
        let entry = WindowEntry { at, steps, len, age_ns };
        if let Some(last) = self.last {
            self.intervals.record(nanoseconds(at.saturating_duration_since(last.at)));
            self.published = self.published.saturating_add(steps);
        }
        if let Some(age) = age_ns {
            self.ages.record(age);
        }
        self.received += 1;
        self.bytes = self.bytes.saturating_add(len as u64);
        self.min_len = self.min_len.min(len);
        self.max_len = self.max_len.max(len);
        self.first = self.first.or(Some(entry));
        self.last = Some(entry);
        if self.window.len() == self.window_len {
            self.window.pop_front();
        }
        self.window.push_back(entry);
    }

    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    pub(crate) fn restarts(&self) -> u64 {
        self.restarts
    }

    pub(crate) fn malformed(&self) -> u64 {
        self.malformed
    }

    /// The clocks of the publisher and of this machine.
    pub(crate) fn clock(&self) -> &ClockWatch {
        &self.clock
    }

    /// A remark on a clock that stepped not long ago.
    pub(super) fn recent_step_note(&self, now: Instant) -> Option<String> {
        let at = self.clock.last_step()?;
        let is_recent = now.saturating_duration_since(at) < STEP_SHOWN;
        self.clock.steps_note().filter(|_| is_recent)
    }

    /// Lost messages as a fraction of the published ones.
    pub(crate) fn loss(&self) -> f64 {
        let sent = self.lost.saturating_add(self.received);
        if sent == 0 { 0.0 } else { self.lost as f64 / sent as f64 }
    }

    /// Seconds between the first message and the last.
    pub(crate) fn seconds(&self) -> f64 {
        match (self.first, self.last) {
            (Some(first), Some(last)) => between(&first, &last).as_secs_f64(),
            _ => 0.0,
        }
    }

    /// The time since the last message if the publisher is silent, or since the start of the measurement
    /// if it has sent none.
    pub(crate) fn silence(&self, now: Instant) -> Option<Duration> {
        let Some(last) = self.last else {
            return Some(now.saturating_duration_since(self.started));
        };
        let limit = self.typical_interval().saturating_mul(SILENT_INTERVALS);
        let silence = now.saturating_duration_since(last.at);
        (silence > limit.max(MIN_SILENCE)).then_some(silence)
    }

    /// The median of the last intervals; zero if there is none.
    fn typical_interval(&self) -> Duration {
        let newest = self.window.iter().rev();
        let pairs = newest.clone().zip(newest.skip(1)).take(TYPICAL_COUNT);
        let mut intervals: Vec<_> = pairs.map(|(last, first)| between(first, last)).collect();
        intervals.sort_unstable();
        intervals.get(intervals.len() / 2).copied().unwrap_or_default()
    }

    /// When the last message arrived.
    pub(super) fn last_received(&self) -> Option<Instant> {
        self.last.map(|last| last.at)
    }

    /// Received messages per second, over the window; `None` while the publisher is silent.
    pub(crate) fn rate(&self, now: Instant) -> Option<f64> {
        self.current(now, |window| window.len() as u64 - 1)
    }

    /// Published messages per second, over the window; `None` while the publisher is silent.
    pub(crate) fn published_rate(&self, now: Instant) -> Option<f64> {
        self.current(now, |window| {
            window.iter().skip(1).map(|entry| entry.steps).fold(0, u64::saturating_add)
        })
    }

    /// Received bytes per second, over the window; `None` while the publisher is silent.
    pub(crate) fn byte_rate(&self, now: Instant) -> Option<f64> {
        self.current(now, |window| window.iter().skip(1).map(|entry| entry.len as u64).sum())
    }

    /// Received and published messages per second, over all messages.
    pub(crate) fn total_rates(&self) -> (Option<f64>, Option<f64>) {
        let (Some(first), Some(last)) = (self.first, self.last) else { return (None, None) };
        let time = between(&first, &last);
        (per_second(self.received.saturating_sub(1), time), per_second(self.published, time))
    }

    /// Received bytes per second, over all messages.
    pub(crate) fn total_byte_rate(&self) -> Option<f64> {
        let (first, last) = (self.first?, self.last?);
        per_second(self.bytes.saturating_sub(first.len as u64), between(&first, &last))
    }

    /// A count of the window per second.
    fn current(
        &self,
        now: Instant,
        count: impl FnOnce(&VecDeque<WindowEntry>) -> u64,
    ) -> Option<f64> {
        let (first, last) = (self.window.front()?, self.window.back()?);
        self.silence(now).is_none().then_some(())?;
        per_second(count(&self.window), between(first, last))
    }

    /// The messages of the last second that are in the window.
    fn recent(&self, now: Instant) -> impl Iterator<Item = &WindowEntry> {
        let is_recent =
            move |entry: &&WindowEntry| now.saturating_duration_since(entry.at) < RECENT;
        self.window.iter().rev().take_while(is_recent)
    }

    /// Messages per second in the last second, or over the window if that is shorter.
    pub(crate) fn recent_rate(&self, now: Instant) -> f64 {
        match self.recent(now).count() {
            count if count == self.window_len => self.rate(now).unwrap_or_default(),
            count => count as f64 / RECENT.as_secs_f64(),
        }
    }

    /// Bytes per second in the last second, or over the window if that is shorter.
    pub(crate) fn recent_byte_rate(&self, now: Instant) -> f64 {
        match self.recent(now).count() {
            count if count == self.window_len => self.byte_rate(now).unwrap_or_default(),
            _ => self.recent(now).map(|entry| entry.len as f64).sum::<f64>() / RECENT.as_secs_f64(),
        }
    }

    /// Mean age of the messages of the last second, in seconds.
    pub(crate) fn recent_delay(&self, now: Instant) -> f64 {
        let (mut count, mut sum) = (0.0, 0.0);
        for age in self.recent(now).filter_map(|entry| entry.age_ns) {
            count += 1.0;
            sum += age as f64 / 1e9;
        }
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// Sizes of the messages of the window.
    pub(crate) fn sizes(&self) -> Option<Sizes> {
        let lens = self.window.iter().map(|entry| entry.len);
        let (min, max) = (lens.clone().min()?, lens.clone().max()?);
        Some(Sizes { min, mean: lens.sum::<usize>() as f64 / self.window.len() as f64, max })
    }

    /// Sizes of all messages.
    pub(crate) fn total_sizes(&self) -> Option<Sizes> {
        let mean = self.bytes as f64 / self.received as f64;
        (self.received > 0).then_some(Sizes { min: self.min_len, mean, max: self.max_len })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Times between messages, over the window.
    pub(crate) fn interval(&self) -> Option<Distribution> {
        let mut times = Times::new();
        for (a, b) in self.window.iter().zip(self.window.iter().skip(1)) {
            times.record(nanoseconds(between(a, b)));
        }
        times.distribution()
    }

    /// Ages of the messages of the window.
    pub(crate) fn delay(&self) -> Option<Distribution> {
        let mut times = Times::new();
        self.window.iter().filter_map(|entry| entry.age_ns).for_each(|age| times.record(age));
        times.distribution()
    }

    /// Times between messages, over all messages.
    pub(crate) fn total_interval(&self) -> Option<Distribution> {
        self.intervals.distribution()
    }

    /// Ages of all messages, or of those since the last step of a clock.
    pub(crate) fn total_delay(&self) -> Option<Distribution> {
        self.ages.distribution()
    }
}

fn between(first: &WindowEntry, last: &WindowEntry) -> Duration {
    last.at.saturating_duration_since(first.at)
}

fn per_second(count: u64, time: Duration) -> Option<f64> {
    (!time.is_zero()).then(|| count as f64 / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const BASE_NS: u64 = 1_800_000_000_000_000_000;

    fn sample(start: Instant, at_ms: u64, sequence: u64, timestamp_ns: u64) -> Sample {
        Sample {
            at: start + Duration::from_millis(at_ms),
            wall_ns: BASE_NS + (at_ms + 3) * MS,
            header: Some(Header { fingerprint: 0, timestamp_ns, sequence }),
            len: 100,
        }
    }

    /// A meter that has recorded messages with these sequence numbers, of one per millisecond, and the
    /// time of the last one.
    fn meter_of(window: usize, sequences: &[u64]) -> (Meter, Instant) {
        let start = Instant::now();
        let mut meter = Meter::new(window, start);
        for sequence in sequences {
            meter.record(sample(start, *sequence, *sequence, BASE_NS + sequence * MS));
        }
        let last = sequences.last().copied().unwrap_or_default();
        (meter, start + Duration::from_millis(last))
    }

    #[track_caller]
    fn assert_near(number: Option<f64>, expected: f64) {
        let number = number.expect("a number");
        assert!((number / expected - 1.0).abs() < 1e-3, "{number} is not {expected}");
    }

    #[test]
    fn lost_messages_count_as_published_and_not_as_received() {
        let every_tenth_missing: Vec<u64> = (0..=1000).filter(|n| n % 10 != 5).collect();
        let (meter, now) = meter_of(2000, &every_tenth_missing);
        assert_eq!((meter.received(), meter.lost(), meter.restarts()), (901, 100, 0));
        assert_near(meter.rate(now), 900.0);
        assert_near(meter.published_rate(now), 1000.0);
        assert_eq!(meter.total_rates(), (meter.rate(now), meter.published_rate(now)));
        assert_near(Some(meter.loss()), 100.0 / 1001.0);
        assert_near(meter.byte_rate(now), 90_000.0);
        assert_near(meter.delay().map(|delay| delay.p99), 0.003);
        assert_near(meter.interval().map(|interval| interval.max), 0.002);
    }

    #[test]
    fn rates_are_of_the_window_and_totals_of_all_messages() {
        let (meter, now) = meter_of(3, &[0, 50, 51, 52]);
        assert_near(meter.published_rate(now), 1000.0);
        assert_near(meter.rate(now), 1000.0);
        assert_eq!(meter.lost(), 49);
        assert_near(meter.total_rates().1, 1000.0);
        assert_near(meter.total_rates().0, 3.0 / 0.052);
    }

    #[test]
    fn repeated_and_malformed_messages_are_not_received_messages() {
        let (mut meter, now) = meter_of(10, &[1, 2, 2, 3]);
        assert_eq!((meter.received(), meter.lost()), (3, 0));
        meter.record(Sample { at: now, wall_ns: 0, header: None, len: 3 });
        assert_eq!((meter.received(), meter.malformed()), (3, 1));
    }

    #[test]
    fn a_message_from_the_future_is_early_and_has_no_age() {
        let start = Instant::now();
        let mut meter = Meter::new(10, start);
        meter.record(sample(start, 0, 0, BASE_NS + 1000 * MS));
        assert_eq!((meter.clock().early(), meter.delay()), (1, None));
    }

    #[test]
    fn a_publisher_that_stopped_before_is_silent_after_its_typical_interval() {
        let start = Instant::now();
        let mut meter = Meter::new(1000, start);
        let at = |ms| start + Duration::from_millis(ms);
        // Ten messages a second, then none for 20 seconds, then ten a second again.
        let times = (0..50).map(|n| n * 100).chain((0..50).map(|n| 25_000 + n * 100));
        for (sequence, at_ms) in (0..).zip(times) {
            meter.record(sample(start, at_ms, sequence, BASE_NS + at_ms * MS));
        }
        assert_eq!(meter.silence(at(29_900 + 1900)), None);
        assert_eq!(meter.silence(at(29_900 + 2100)), Some(Duration::from_millis(2100)));
        assert!(meter.rate(at(29_900 + 1900)).is_some());
        assert_eq!(meter.rate(at(29_900 + 2100)), None);
        assert_eq!(meter.published_rate(at(29_900 + 2100)), None);
        assert_eq!(meter.byte_rate(at(29_900 + 2100)), None);

        // A message each ten seconds.
        let mut slow = Meter::new(1000, start);
        for n in 0..5 {
            slow.record(sample(start, n * 10_000, n, BASE_NS + n * 10_000 * MS));
        }
        assert_eq!(slow.silence(at(40_000 + 29_000)), None);
        assert_eq!(slow.silence(at(40_000 + 31_000)), Some(Duration::from_secs(31)));
        let none = Meter::new(10, start);
        assert_eq!(none.silence(at(500)), Some(Duration::from_millis(500)));
    }

    #[test]
    fn a_step_of_the_publishers_clock_changes_no_rate_and_begins_the_ages_anew() {
        for step_ms in [3_600_000_i64, -3_600_000] {
            let start = Instant::now();
            let mut meter = Meter::new(1000, start);
            for n in 0..200 {
                let step = if n < 100 { 0 } else { step_ms };
                let stamp = (BASE_NS + n * 10 * MS).saturating_add_signed(step * 1_000_000);
                meter.record(sample(start, n * 10, n, stamp));
            }
            let now = start + Duration::from_millis(1990);
            assert_near(meter.published_rate(now), 100.0);
            assert_near(meter.total_rates().1, 100.0);
            assert_eq!(meter.clock().publisher_steps().count, 1);
            assert!(meter.recent_step_note(now).is_some());
            let delay = meter.total_delay();
            if step_ms > 0 {
                assert_eq!((meter.clock().early(), delay, meter.delay()), (100, None, None));
            } else {
                // Exactly as measured: no time is capped.
                assert_near(delay.map(|delay| delay.min), 3600.003);
                assert_eq!(delay.map(|delay| delay.min), meter.delay().map(|delay| delay.min));
            }
        }
    }

    #[test]
    fn a_clock_that_is_not_set_gives_no_age_but_a_rate() {
        let start = Instant::now();
        let mut meter = Meter::new(10, start);
        for n in 0..5 {
            meter.record(sample(start, n * 10, n, 7_000 * MS + n * 10 * MS));
        }
        assert_eq!((meter.clock().not_set(), meter.delay(), meter.total_delay()), (5, None, None));
        assert_near(meter.published_rate(start + Duration::from_millis(40)), 100.0);
        assert_eq!(meter.clock().state(), "not set");
    }

    #[test]
    fn sizes_of_the_summary_are_those_of_all_messages() {
        let start = Instant::now();
        let mut meter = Meter::new(2, start);
        for (n, len) in [(0, 900), (1, 100), (2, 200)] {
            meter.record(Sample { len, ..sample(start, n, n, BASE_NS) });
        }
        assert_eq!(meter.sizes(), Some(Sizes { min: 100, mean: 150.0, max: 200 }));
        assert_eq!(meter.total_sizes(), Some(Sizes { min: 100, mean: 400.0, max: 900 }));
    }
}
