//! The clocks of a publisher and of this machine: whether they are set, agree, and advance steadily.

use std::time::{Duration, Instant};

use cortex_std::Step;

use crate::time::{Age, duration};

/// Change of a clock against the monotonic clock that counts as a step.
const STEP: i128 = 1_000_000_000;
/// Decrease of the timestamp from one message to the next that counts as a step.
const BACKWARD_STEP_NS: u64 = 10_000_000;
/// The largest drift of a clock, as a divisor of the time between two messages.
const MAX_DRIFT: i128 = 1000;

/// The times of a received message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamps {
    pub(super) at: Instant,
    /// Nanoseconds since the Unix epoch, by this machine's clock.
    pub(super) wall_ns: u64,
    /// The same, by the publisher's clock.
    pub(super) timestamp_ns: u64,
}

/// Steps of a clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) count: u64,
    /// The last step, positive if the clock advanced.
    pub(crate) last_ns: i128,
}

/// Compares the clocks with the monotonic clock of this machine.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    start: Instant,
    last: Option<Stamps>,
    /// The largest difference between the publisher's clock and the monotonic clock since the last step,
    /// which is that of the fastest message.
    lead_ns: i128,
    publisher: Steps,
    local: Steps,
    last_step: Option<Instant>,
    last_age: Option<Age>,
    not_set: u64,
    early: u64,
    most_early: Duration,
}

/// The result of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) age: Age,
    /// A clock stepped before this message: ages before it cannot be compared with later ones.
    pub(super) is_stepped: bool,
}

impl ClockWatch {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            start: now,
            last: None,
            lead_ns: 0,
            publisher: Steps::default(),
            local: Steps::default(),
            last_step: None,
            last_age: None,
            not_set: 0,
            early: 0,
            most_early: Duration::ZERO,
        }
    }

    pub(super) fn record(&mut self, stamps: Stamps, step: Step) -> Reading {
        let is_stepped = self.find_step(stamps, step);
        self.last = Some(stamps);
        let age = Age::new(stamps.wall_ns, stamps.timestamp_ns);
        match age {
            Age::Known(_) => {}
            Age::Early(early) => {
                self.early += 1;
                self.most_early = self.most_early.max(early);
            }
            Age::ClockNotSet => self.not_set += 1,
        }
        self.last_age = Some(age);
        Reading { age, is_stepped }
    }

    fn find_step(&mut self, stamps: Stamps, step: Step) -> bool {
        let monotonic = |at: Instant| nanoseconds(at.saturating_duration_since(self.start));
        let now = monotonic(stamps.at);
        let lead = i128::from(stamps.timestamp_ns) - now;
        let Some(last) = self.last else {
            self.lead_ns = lead;
            return false;
        };
        let between = now - monotonic(last.at);
        let tolerance = STEP + between / MAX_DRIFT;
        let wall = i128::from(stamps.wall_ns) - i128::from(last.wall_ns) - between;
        let is_local = wall.abs() > tolerance;
        if is_local {
            self.local = Steps { count: self.local.count + 1, last_ns: wall };
        }
        // A timestamp that decreases, or a message faster than any other by more than the tolerance. A
        // slower message may have waited in a queue.
        let is_backward = last.timestamp_ns.saturating_sub(stamps.timestamp_ns) > BACKWARD_STEP_NS;
        let is_forward = lead - self.lead_ns > tolerance;
        let is_restarted = step == Step::Restarted;
        let is_publisher = !is_restarted && (is_backward || is_forward);
        if is_publisher {
            let last_ns = lead - self.lead_ns;
            self.publisher = Steps { count: self.publisher.count + 1, last_ns };
        }
        self.lead_ns = match is_publisher || is_restarted {
            true => lead,
            false => lead.max(self.lead_ns),
        };
        if is_publisher || is_local {
            self.last_step = Some(stamps.at);
        }
        is_publisher || is_local || is_restarted && (is_backward || is_forward)
    }

    /// Steps of the publisher's clock.
    pub(super) fn publisher_steps(&self) -> Steps {
        self.publisher
    }

    /// Steps of this machine's clock.
    pub(super) fn local_steps(&self) -> Steps {
        self.local
    }

    /// Messages whose timestamp is later than their arrival, since the clocks differ.
    pub(crate) fn early(&self) -> u64 {
        self.early
    }

    /// Messages whose timestamp does not count from the Unix epoch.
    pub(crate) fn not_set(&self) -> u64 {
        self.not_set
    }

    /// The state of the clocks in one word or two, for programs.
    pub(super) fn state(&self) -> &'static str {
        match self.last_age {
            Some(Age::ClockNotSet) => "not set",
            Some(Age::Early(_)) => "ahead",
            _ if self.publisher.count + self.local.count > 0 => "stepped",
            _ => "ok",
        }
    }

    /// When a clock stepped last.
    pub(super) fn last_step(&self) -> Option<Instant> {
        self.last_step
    }

    /// The steps of the clocks, as a remark; `None` if there were none.
    pub(super) fn steps_note(&self) -> Option<String> {
        let note = |whose: &str, steps: Steps| {
            let signed = steps.last_ns as f64 / 1e9;
            let sign = if signed > 0.0 { "+" } else { "" };
            let by = format!("by {sign}{}", duration(signed));
            match steps.count {
                0 => None,
                1 => Some(format!("{whose} clock stepped {by}")),
                count => Some(format!("{whose} clock stepped {count} times, last {by}")),
            }
        };
        let publisher = note("the publisher's", self.publisher);
        let notes = publisher.into_iter().chain(note("this machine's", self.local));
        let notes: Vec<_> = notes.collect();
        (!notes.is_empty()).then(|| notes.join(", "))
    }

    /// Why messages have no age, as a remark; `None` if all have one.
    pub(super) fn age_note(&self) -> Option<String> {
        let (not_set, early) = (self.not_set, self.early);
        let not_set = (not_set > 0)
            .then(|| format!("the publisher's clock is not set in {not_set} messages"));
        let early = (early > 0).then(|| {
            let most = duration(self.most_early.as_secs_f64());
            format!("{early} with a timestamp in the future, by up to {most}: the clocks differ")
        });
        let notes: Vec<_> = not_set.into_iter().chain(early).collect();
        (!notes.is_empty()).then(|| notes.join(", "))
    }
}

fn nanoseconds(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;
    const START_NS: i128 = 1_800_000_000 * SECOND;

    /// Records a message for each of these times in milliseconds: the arrival by the monotonic clock, by
    /// this machine's clock, and the timestamp.
    fn watch(messages: &[(u64, i128, i128)]) -> ClockWatch {
        let start = Instant::now();
        let mut watch = ClockWatch::new(start);
        for (at_ms, wall_ms, stamp_ms) in messages {
            let ns = |ms: i128| u64::try_from(START_NS + ms * 1_000_000).expect("after 1970");
            let stamps = Stamps {
                at: start + Duration::from_millis(*at_ms),
                wall_ns: ns(*wall_ms),
                timestamp_ns: ns(*stamp_ms),
            };
            watch.record(stamps, Step::Next);
        }
        watch
    }

    #[test]
    fn a_clock_of_the_publisher_that_steps_is_reported() {
        let hour = 3_600_000;
        let forward = watch(&[(100, 100, 100), (200, 200, 200), (300, 300, 300 + hour)]);
        let steps = Steps { count: 1, last_ns: 3600 * SECOND };
        assert_eq!((forward.publisher_steps(), forward.local_steps().count), (steps, 0));
        assert_eq!(
            forward.steps_note().as_deref(),
            Some("the publisher's clock stepped by +3600 s")
        );
        assert_eq!(forward.state(), "ahead");
        let back = watch(&[
            (100, 100, 100),
            (200, 200, 200),
            (300, 300, 300 - hour),
            (400, 400, 400 - hour),
        ]);
        assert_eq!(back.publisher_steps(), Steps { count: 1, last_ns: -3600 * SECOND });
        assert_eq!(back.state(), "stepped");
        assert_eq!(back.steps_note().as_deref(), Some("the publisher's clock stepped by -3600 s"));
    }

    #[test]
    fn a_clock_of_this_machine_that_steps_is_not_blamed_on_the_publisher() {
        let stepped = watch(&[(100, 100, 100), (200, 50_200, 200), (300, 50_300, 300)]);
        assert_eq!(stepped.publisher_steps().count, 0);
        assert_eq!(stepped.local_steps(), Steps { count: 1, last_ns: 50 * SECOND });
    }

    #[test]
    fn messages_that_waited_in_a_queue_are_no_step() {
        // Ten messages that a stalled network delivers at once after nine seconds.
        let burst: Vec<_> = (0..10).map(|n| (10_000, 10_000, n * 1000)).collect();
        let all = [vec![(0, 0, 0)], burst, vec![(11_000, 11_000, 11_000)]].concat();
        assert_eq!(watch(&all).publisher_steps().count, 0);
        // A drift of 0.1 %.
        let drift: Vec<_> = (0..1000_u64)
            .map(|n| (n * 10_000, i128::from(n) * 10_000, i128::from(n) * 10_010))
            .collect();
        assert_eq!(watch(&drift).publisher_steps().count, 0);
    }

    #[test]
    fn a_clock_that_is_not_set_or_ahead_is_reported_with_its_count() {
        let mut watch = ClockWatch::new(Instant::now());
        let now = u64::try_from(START_NS).expect("after 1970");
        for timestamp_ns in [5_000_000_000, 6_000_000_000] {
            let stamps = Stamps { at: Instant::now(), wall_ns: now, timestamp_ns };
            assert_eq!(watch.record(stamps, Step::Next).age, Age::ClockNotSet);
        }
        assert_eq!((watch.state(), watch.not_set(), watch.early()), ("not set", 2, 0));
        let note = watch.age_note();
        assert_eq!(note.as_deref(), Some("the publisher's clock is not set in 2 messages"));
        let ahead = self::watch(&[(0, 0, 2500)]);
        assert_eq!((ahead.state(), ahead.early()), ("ahead", 1));
        let note = ahead.age_note();
        let expected = "1 with a timestamp in the future, by up to 2.50 s: the clocks differ";
        assert_eq!(note.as_deref(), Some(expected));
    }

    #[test]
    fn a_restarted_publisher_may_have_another_time() {
        let start = Instant::now();
        let mut watch = ClockWatch::new(start);
        for (at, timestamp_ns, step) in [(0, 100 * SECOND, Step::Next), (1, 0, Step::Restarted)] {
            let at = start + Duration::from_secs(at);
            let timestamp_ns = u64::try_from(timestamp_ns).expect("positive");
            watch.record(Stamps { at, wall_ns: 0, timestamp_ns }, step);
        }
        assert_eq!(watch.publisher_steps().count, 0);
    }
}
