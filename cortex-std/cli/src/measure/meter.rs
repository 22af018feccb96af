//! Statistics of the messages of one publisher, from their headers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use cortex_std::wire::Header;
use cortex_std::{SequenceTracker, Step};
use hdrhistogram::Histogram;
use serde_json::{Value as Json, json};

/// A publisher is silent after so long without a message, unless its interval is longer.
const SILENCE: Duration = Duration::from_secs(2);
/// The period over which recent values are computed.
const RECENT: Duration = Duration::from_secs(1);
/// Longest time in a histogram, one hour; longer times count as one hour.
const MAX_NS: u64 = 3_600_000_000_000;

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
    timestamp_ns: u64,
    /// Messages published since the previous one received, including this one.
    steps: u64,
    len: usize,
    delay_ns: i64,
}

/// Statistics over a window of the last messages, and over all messages.
#[derive(Debug)]
pub(crate) struct Meter {
    window_len: usize,
    window: VecDeque<WindowEntry>,
    tracker: SequenceTracker,
    first: Option<WindowEntry>,
    last: Option<WindowEntry>,
    started: Instant,
    received: u64,
    published: u64,
    bytes: u64,
    lost: u64,
    restarts: u64,
    malformed: u64,
    early: u64,
    intervals: DurationHistogram,
    delays: DurationHistogram,
}

/// A histogram of times in nanoseconds, with three significant digits.
#[derive(Debug, Clone)]
struct DurationHistogram(Option<Histogram<u64>>);

/// The distribution of times, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) min: f64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
    /// Standard deviation.
    pub(crate) jitter: f64,
}

impl Distribution {
    pub(crate) fn to_json(distribution: Option<Self>) -> Json {
        distribution.map_or(Json::Null, |distribution| {
            json!({
                "min_s": distribution.min,
                "mean_s": distribution.mean,
                "p50_s": distribution.p50,
                "p90_s": distribution.p90,
                "p99_s": distribution.p99,
                "max_s": distribution.max,
                "jitter_s": distribution.jitter,
            })
        })
    }
}

impl DurationHistogram {
    fn new() -> Self {
        Self(Histogram::new_with_bounds(1, MAX_NS, 3).ok())
    }

    fn record(&mut self, ns: u64) {
        if let Some(times) = &mut self.0 {
            times.saturating_record(ns.clamp(1, MAX_NS));
        }
    }

    fn distribution(&self) -> Option<Distribution> {
        let times = self.0.as_ref().filter(|times| !times.is_empty())?;
        let seconds = |ns: u64| ns as f64 / 1e9;
        let at = |part| seconds(times.value_at_quantile(part));
        Some(Distribution {
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
    /// A meter whose window holds `window_len` messages.
    pub(crate) fn new(window_len: usize) -> Self {
        Self {
            window_len,
            window: VecDeque::new(),
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
            intervals: DurationHistogram::new(),
            delays: DurationHistogram::new(),
        }
    }

    pub(crate) fn record(&mut self, sample: Sample) {
        let Some(header) = sample.header else {
            self.malformed += 1;
            return;
        };
        let steps = match self.tracker.step(&header) {
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
        let delay_ns = sample.wall_ns.wrapping_sub(header.timestamp_ns).cast_signed();
        let Sample { at, len, .. } = sample;
        let entry = WindowEntry { at, timestamp_ns: header.timestamp_ns, steps, len, delay_ns };
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

    /// Messages whose timestamp is later than their arrival, since the clocks differ.
    pub(crate) fn early(&self) -> u64 {
        self.early
    }

    /// Lost messages as a fraction of the published ones.
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

    /// The time since the last message, if it is longer than usual; `Some(None)` if none arrived yet.
    pub(crate) fn silence(&self) -> Option<Option<Duration>> {
        let Some(last) = self.last else { return Some(None) };
        let usual = self.interval().map_or(self.started.elapsed(), |interval| {
            Duration::try_from_secs_f64(interval.max * 2.0).unwrap_or_default()
        });
        let silence = last.at.elapsed();
        (silence > usual.max(SILENCE)).then_some(Some(silence))
    }

    /// Received messages per second, over the window.
    pub(crate) fn rate(&self) -> Option<f64> {
        let (first, last) = self.ends()?;
        per_second(self.window.len() as u64 - 1, last.at - first.at)
    }

    /// Published messages per second, over the window, by the publisher's sequence numbers and clock.
    pub(crate) fn published_rate(&self) -> Option<f64> {
        let (first, last) = self.ends()?;
        let steps = self.window.iter().skip(1).map(|entry| entry.steps);
        let steps = steps.fold(0, u64::saturating_add);
        per_second(steps, publisher_time(first, last))
    }

    /// Received and published messages per second, over all messages.
    pub(crate) fn total_rates(&self) -> (Option<f64>, Option<f64>) {
        let (Some(first), Some(last)) = (self.first, self.last) else { return (None, None) };
        (
            per_second(self.received.saturating_sub(1), last.at - first.at),
            per_second(self.published, publisher_time(&first, &last)),
        )
    }

    /// The messages of the last second that are in the window.
    fn recent(&self) -> impl Iterator<Item = &WindowEntry> {
        self.window.iter().rev().take_while(|entry| entry.at.elapsed() < RECENT)
    }

    /// Messages per second in the last second, or over the window if that is shorter.
    pub(crate) fn recent_rate(&self) -> f64 {
        match self.recent().count() {
            count if count == self.window_len => self.rate().unwrap_or_default(),
            count => count as f64 / RECENT.as_secs_f64(),
        }
    }

    /// Bytes per second in the last second, or over the window if that is shorter.
    pub(crate) fn recent_byte_rate(&self) -> f64 {
        match self.recent().count() {
            count if count == self.window_len => self.byte_rate().unwrap_or_default(),
            _ => self.recent().map(|entry| entry.len as f64).sum::<f64>() / RECENT.as_secs_f64(),
        }
    }

    /// Mean delay in the last second, in seconds.
    pub(crate) fn recent_delay(&self) -> f64 {
        let (mut count, mut sum) = (0.0, 0.0);
        for entry in self.recent() {
            count += 1.0;
            sum += (entry.delay_ns.max(0)) as f64 / 1e9;
        }
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// Received bytes per second, over the window.
    pub(crate) fn byte_rate(&self) -> Option<f64> {
        let (first, last) = self.ends()?;
        let bytes = self.window.iter().skip(1).map(|entry| entry.len as u64).sum();
        per_second(bytes, last.at - first.at)
    }

    /// Received bytes per second, over all messages.
    pub(crate) fn total_byte_rate(&self) -> Option<f64> {
        let (first, last) = (self.first?, self.last?);
        per_second(self.bytes.saturating_sub(first.len as u64), last.at - first.at)
    }

    /// Smallest, mean and largest message of the window, in bytes.
    pub(crate) fn sizes(&self) -> Option<(usize, f64, usize)> {
        let lens = self.window.iter().map(|entry| entry.len);
        let (min, max) = (lens.clone().min()?, lens.clone().max()?);
        Some((min, lens.sum::<usize>() as f64 / self.window.len() as f64, max))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Times between messages, over the window.
    pub(crate) fn interval(&self) -> Option<Distribution> {
        let mut times = DurationHistogram::new();
        for (a, b) in self.window.iter().zip(self.window.iter().skip(1)) {
            times.record(u64::try_from((b.at - a.at).as_nanos()).unwrap_or(u64::MAX));
        }
        times.distribution()
    }

    /// Times from publishing to receiving, by the clocks of the two machines, over the window.
    pub(crate) fn delay(&self) -> Option<Distribution> {
        let mut times = DurationHistogram::new();
        for entry in &self.window {
            if let Ok(delay) = u64::try_from(entry.delay_ns) {
                times.record(delay);
            }
        }
        times.distribution()
    }

    /// Times between messages, over all messages.
    pub(crate) fn total_interval(&self) -> Option<Distribution> {
        self.intervals.distribution()
    }

    /// Times from publishing to receiving, over all messages.
    pub(crate) fn total_delay(&self) -> Option<Distribution> {
        self.delays.distribution()
    }

    /// The oldest and the newest message of the window.
    fn ends(&self) -> Option<(&WindowEntry, &WindowEntry)> {
        Some((self.window.front()?, self.window.back()?))
    }
}

/// The time between two messages by the publisher's clock, or by this machine's clock if the
/// publisher's did not advance.
fn publisher_time(first: &WindowEntry, last: &WindowEntry) -> Duration {
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

    /// A meter that has recorded messages with these sequence numbers, of one per millisecond.
    fn meter_of(window: usize, sequences: &[u64]) -> Meter {
        let mut meter = Meter::new(window);
        let start = Instant::now();
        for sequence in sequences {
            let timestamp_ns = 1_000_000_000 + sequence * MS;
            meter.record(Sample {
                at: start + Duration::from_millis(*sequence),
                wall_ns: timestamp_ns + 3 * MS,
                header: Some(Header { fingerprint: 0, timestamp_ns, sequence: *sequence }),
                len: 100,
            });
        }
        meter
    }

    fn assert_near(number: Option<f64>, expected: f64) {
        let number = number.expect("a number");
        assert!((number / expected - 1.0).abs() < 1e-3, "{number} is not {expected}");
    }

    #[test]
    fn lost_messages_count_as_published_and_not_as_received() {
        let every_tenth_missing: Vec<u64> = (0..=1000).filter(|n| n % 10 != 5).collect();
        let meter = meter_of(2000, &every_tenth_missing);
        assert_eq!((meter.received(), meter.lost(), meter.restarts()), (901, 100, 0));
        assert_near(meter.rate(), 900.0);
        assert_near(meter.published_rate(), 1000.0);
        assert_eq!(meter.total_rates(), (meter.rate(), meter.published_rate()));
        assert_near(Some(meter.loss()), 100.0 / 1001.0);
        assert_near(meter.byte_rate(), 90_000.0);
        assert_near(meter.delay().map(|delay| delay.p99), 0.003);
        assert_near(meter.interval().map(|interval| interval.max), 0.002);
    }

    #[test]
    fn rates_are_of_the_window_and_totals_of_all_messages() {
        let meter = meter_of(3, &[0, 50, 51, 52]);
        assert_near(meter.published_rate(), 1000.0);
        assert_near(meter.rate(), 1000.0);
        assert_eq!(meter.lost(), 49);
        assert_near(meter.total_rates().1, 1000.0);
        assert_near(meter.total_rates().0, 3.0 / 0.052);
    }

    #[test]
    fn repeated_and_malformed_messages_are_not_received_messages() {
        let mut meter = meter_of(10, &[1, 2, 2, 3]);
        assert_eq!((meter.received(), meter.lost()), (3, 0));
        meter.record(Sample { at: Instant::now(), wall_ns: 0, header: None, len: 3 });
        assert_eq!((meter.received(), meter.malformed()), (3, 1));
    }

    #[test]
    fn a_message_from_the_future_is_early_and_has_no_delay() {
        let mut meter = Meter::new(10);
        let header = Header { fingerprint: 0, timestamp_ns: 2000, sequence: 0 };
        meter.record(Sample { at: Instant::now(), wall_ns: 1000, header: Some(header), len: 3 });
        assert_eq!((meter.early(), meter.delay()), (1, None));
    }
}
