//! Numbers about the messages of one topic, from their headers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cortex_std::wire::Header;
use cortex_std::{SequenceTracker, Step};
use hdrhistogram::Histogram;
use serde_json::{Value as Json, json};

/// After so long without a message there is no rate to speak of, unless it was that low before.
const SILENCE: Duration = Duration::from_secs(2);
/// What is meant by now.
const RECENT: Duration = Duration::from_secs(1);
/// Longest time that is told apart from longer ones: an hour.
const MAX_NS: u64 = 3_600_000_000_000;

/// What is kept of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) wall_ns: u64,
    pub(crate) header: Option<Header>,
    /// Bytes of all frames.
    pub(crate) len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    at: Instant,
    timestamp_ns: u64,
    /// How many the publisher sent since the one before, this one included.
    steps: u64,
    len: usize,
    delay_ns: i64,
}

/// Numbers over the last messages, and over all.
#[derive(Debug)]
pub(crate) struct Meter {
    window: usize,
    kept: VecDeque<Kept>,
    tracker: SequenceTracker,
    first: Option<Kept>,
    last: Option<Kept>,
    started: Instant,
    received: u64,
    published: u64,
    bytes: u64,
    lost: u64,
    restarts: u64,
    malformed: u64,
    early: u64,
    intervals: Times,
    delays: Times,
}

/// Times in nanoseconds, three digits of each.
#[derive(Debug, Clone)]
struct Times(Option<Histogram<u64>>);

/// How times are spread, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// Standard deviation.
    pub(crate) jitter: f64,
}

impl Spread {
    pub(crate) fn to_json(spread: Option<Self>) -> Json {
        spread.map_or(Json::Null, |spread| {
            json!({
                "min_s": spread.min,
                "mean_s": spread.mean,
                "p50_s": spread.p50,
                "p90_s": spread.p90,
                "p99_s": spread.p99,
                "max_s": spread.max,
                "jitter_s": spread.jitter,
            })
        })
    }
}

impl Times {
    fn new() -> Self {
        Self(Histogram::new_with_bounds(1, MAX_NS, 3).ok())
    }

    fn record(&mut self, ns: u64) {
        if let Some(times) = &mut self.0 {
            times.saturating_record(ns.clamp(1, MAX_NS));
        }
    }

    fn spread(&self) -> Option<Spread> {
        let times = self.0.as_ref().filter(|times| !times.is_empty())?;
        let seconds = |ns: u64| ns as f64 / 1e9;
        let at = |part| seconds(times.value_at_quantile(part));
        Some(Spread {
            min: seconds(times.min()),
            mean: times.mean() / 1e9,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: seconds(times.max()),
            jitter: times.stdev() / 1e9,
        })
    }
}

impl Meter {
    pub(crate) fn new(window: usize) -> Self {
        Self {
            window,
            kept: VecDeque::new(),
            tracker: SequenceTracker::default(),
            first: None,
            last: None,
            started: Instant::now(),
            received: 0,
            published: 0,
            bytes: 0,
            lost: 0,
            restarts: 0,
            malformed: 0,
            early: 0,
            intervals: Times::new(),
            delays: Times::new(),
        }
    }

    pub(crate) fn take(&mut self, sample: Sample) {
        let Some(header) = sample.header else {
            self.malformed += 1;
            return;
        };
        let steps = match self.tracker.step(&header) {
            // A latched message was sent once more for somebody else.
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
        };
        let delay_ns = sample.wall_ns.wrapping_sub(header.timestamp_ns).cast_signed();
        let Sample { at, len, .. } = sample;
        let kept = Kept { at, timestamp_ns: header.timestamp_ns, steps, len, delay_ns };
        if let Some(last) = self.last {
            let interval = at.saturating_duration_since(last.at);
            self.intervals.record(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX));
            self.published = self.published.saturating_add(steps);
        }
        match u64::try_from(delay_ns) {
            Ok(delay) => self.delays.record(delay),
            Err(_) => self.early += 1,
        }
        self.received += 1;
        self.bytes = self.bytes.saturating_add(len as u64);
        self.first = self.first.or(Some(kept));
        self.last = Some(kept);
        if self.kept.len() == self.window {
            self.kept.pop_front();
        }
        self.kept.push_back(kept);
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

    /// Messages that seem to come before they were sent: clocks differ.
    pub(crate) fn early(&self) -> u64 {
        self.early
    }

    /// The part of what was published that was lost.
    pub(crate) fn loss(&self) -> f64 {
        let sent = self.lost.saturating_add(self.received);
        if sent == 0 { 0.0 } else { self.lost as f64 / sent as f64 }
    }

    /// Seconds between the first message and the last.
    pub(crate) fn seconds(&self) -> f64 {
        match (self.first, self.last) {
            (Some(first), Some(last)) => (last.at - first.at).as_secs_f64(),
            _ => 0.0,
        }
    }

    /// How long nothing has come, where that is longer than usual; `None` inside: nothing ever.
    pub(crate) fn silence(&self) -> Option<Option<Duration>> {
        let Some(last) = self.last else { return Some(None) };
        let usual = self.interval().map_or(self.started.elapsed(), |spread| {
            Duration::try_from_secs_f64(spread.max * 2.0).unwrap_or_default()
        });
        let silence = last.at.elapsed();
        (silence > usual.max(SILENCE)).then_some(Some(silence))
    }

    /// Messages received in a second, over the window.
    pub(crate) fn rate(&self) -> Option<f64> {
        let (first, last) = self.ends()?;
        per_second(self.kept.len() as u64 - 1, last.at - first.at)
    }

    /// Messages published in a second, over the window, by the publisher's numbers and clock.
    pub(crate) fn published_rate(&self) -> Option<f64> {
        let (first, last) = self.ends()?;
        let steps = self.kept.iter().skip(1).map(|kept| kept.steps);
        let steps = steps.fold(0, u64::saturating_add);
        per_second(steps, publisher_time(first, last))
    }

    /// The same over everything.
    pub(crate) fn total_rates(&self) -> (Option<f64>, Option<f64>) {
        let (Some(first), Some(last)) = (self.first, self.last) else { return (None, None) };
        (
            per_second(self.received.saturating_sub(1), last.at - first.at),
            per_second(self.published, publisher_time(&first, &last)),
        )
    }

    /// What came in the last second, of the window: how things are now.
    fn recent(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter().rev().take_while(|kept| kept.at.elapsed() < RECENT)
    }

    /// Messages that came in the last second; the rate of the window where that is shorter.
    pub(crate) fn recent_rate(&self) -> f64 {
        match self.recent().count() {
            count if count == self.window => self.rate().unwrap_or_default(),
            count => count as f64 / RECENT.as_secs_f64(),
        }
    }

    /// Their bytes.
    pub(crate) fn recent_byte_rate(&self) -> f64 {
        match self.recent().count() {
            count if count == self.window => self.byte_rate().unwrap_or_default(),
            _ => self.recent().map(|kept| kept.len as f64).sum::<f64>() / RECENT.as_secs_f64(),
        }
    }

    /// Their mean age, in seconds.
    pub(crate) fn recent_delay(&self) -> f64 {
        let (mut count, mut sum) = (0.0, 0.0);
        for kept in self.recent() {
            count += 1.0;
            sum += (kept.delay_ns.max(0)) as f64 / 1e9;
        }
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// Bytes received in a second, over the window.
    pub(crate) fn byte_rate(&self) -> Option<f64> {
        let (first, last) = self.ends()?;
        let bytes = self.kept.iter().skip(1).map(|kept| kept.len as u64).sum();
        per_second(bytes, last.at - first.at)
    }

    /// The same over everything.
    pub(crate) fn total_byte_rate(&self) -> Option<f64> {
        let (first, last) = (self.first?, self.last?);
        per_second(self.bytes.saturating_sub(first.len as u64), last.at - first.at)
    }

    /// Smallest, mean and largest message of the window, in bytes.
    pub(crate) fn sizes(&self) -> Option<(usize, f64, usize)> {
        let lens = self.kept.iter().map(|kept| kept.len);
        let (min, max) = (lens.clone().min()?, lens.clone().max()?);
        Some((min, lens.sum::<usize>() as f64 / self.kept.len() as f64, max))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Times between messages, over the window.
    pub(crate) fn interval(&self) -> Option<Spread> {
        let mut times = Times::new();
        for (a, b) in self.kept.iter().zip(self.kept.iter().skip(1)) {
            times.record(u64::try_from((b.at - a.at).as_nanos()).unwrap_or(u64::MAX));
        }
        times.spread()
    }

    /// Times from publishing to receiving, by two clocks, over the window.
    pub(crate) fn delay(&self) -> Option<Spread> {
        let mut times = Times::new();
        for kept in &self.kept {
            if let Ok(delay) = u64::try_from(kept.delay_ns) {
                times.record(delay);
            }
        }
        times.spread()
    }

    pub(crate) fn total_interval(&self) -> Option<Spread> {
        self.intervals.spread()
    }

    pub(crate) fn total_delay(&self) -> Option<Spread> {
        self.delays.spread()
    }

    fn ends(&self) -> Option<(&Kept, &Kept)> {
        Some((self.kept.front()?, self.kept.back()?))
    }
}

/// The time between two messages by the clock of who sent them; by ours where that one makes no
/// sense.
fn publisher_time(first: &Kept, last: &Kept) -> Duration {
    match last.timestamp_ns.checked_sub(first.timestamp_ns) {
        None | Some(0) => last.at - first.at,
        Some(time) => Duration::from_nanos(time),
    }
}

fn per_second(count: u64, time: Duration) -> Option<f64> {
    (!time.is_zero()).then(|| count as f64 / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A meter that was given messages of these numbers, a millisecond apart for each number.
    fn fed(window: usize, sequences: &[u64]) -> Meter {
        let mut meter = Meter::new(window);
        let start = Instant::now();
        for sequence in sequences {
            let timestamp_ns = 1_000_000_000 + sequence * MS;
            meter.take(Sample {
                at: start + Duration::from_millis(*sequence),
                wall_ns: timestamp_ns + 3 * MS,
                header: Some(Header { fingerprint: 0, timestamp_ns, sequence: *sequence }),
                len: 100,
            });
        }
        meter
    }

    fn near(number: Option<f64>, expected: f64) {
        let number = number.expect("a number");
        assert!((number / expected - 1.0).abs() < 1e-3, "{number} is not {expected}");
    }

    #[test]
    fn what_is_lost_is_published_and_not_received() {
        let every_tenth_missing: Vec<u64> = (0..=1000).filter(|n| n % 10 != 5).collect();
        let meter = fed(2000, &every_tenth_missing);
        assert_eq!((meter.received(), meter.lost(), meter.restarts()), (901, 100, 0));
        near(meter.rate(), 900.0);
        near(meter.published_rate(), 1000.0);
        assert_eq!(meter.total_rates(), (meter.rate(), meter.published_rate()));
        near(Some(meter.loss()), 100.0 / 1001.0);
        near(meter.byte_rate(), 90_000.0);
        near(meter.delay().map(|delay| delay.p99), 0.003);
        near(meter.interval().map(|interval| interval.max), 0.002);
    }

    #[test]
    fn the_window_forgets_and_the_total_does_not() {
        let meter = fed(3, &[0, 50, 51, 52]);
        near(meter.published_rate(), 1000.0);
        near(meter.rate(), 1000.0);
        assert_eq!(meter.lost(), 49);
        near(meter.total_rates().1, 1000.0);
        near(meter.total_rates().0, 3.0 / 0.052);
    }

    #[test]
    fn repeated_messages_and_messages_without_header_are_no_messages() {
        let mut meter = fed(10, &[1, 2, 2, 3]);
        assert_eq!((meter.received(), meter.lost()), (3, 0));
        meter.take(Sample { at: Instant::now(), wall_ns: 0, header: None, len: 3 });
        assert_eq!((meter.received(), meter.malformed()), (3, 1));
    }

    #[test]
    fn a_clock_that_is_behind_is_told() {
        let mut meter = Meter::new(10);
        let header = Header { fingerprint: 0, timestamp_ns: 2000, sequence: 0 };
        meter.take(Sample { at: Instant::now(), wall_ns: 1000, header: Some(header), len: 3 });
        assert_eq!((meter.early(), meter.delay()), (1, None));
    }
}
