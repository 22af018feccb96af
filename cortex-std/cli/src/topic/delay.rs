//! `cortex topic delay`.

use std::time::Instant;

use clap::Args;
use serde_json::{Value as Json, json};

use crate::failure::Result;
use crate::measure::{Distribution, MeasureArgs, Measurement, Meter};
use crate::session::Session;
use crate::time::duration;

/// Measure the age of messages when they arrive.
///
/// The delay is the arrival time, by this machine's clock, minus the timestamp in the header, by the
/// publisher's clock. Between machines it is as exact as their clocks are synchronized. Messages
/// with a timestamp in the future, or from a clock that is not set, are counted and left out; after a
/// clock has stepped, which is reported, the values begin anew. For windows, terminals and exit codes
/// see `cortex topic hz --help`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex topic delay /cam/frame\n  \
    cortex topic delay --window 100 --all\n  \
    cortex topic delay --json --duration 10 /imu | tail -1 | jq .delay.p99_s")]
pub(crate) struct Delay {
    #[command(flatten)]
    args: MeasureArgs,
}

impl Delay {
    pub(crate) fn run(&self, session: &Session) -> Result {
        self.args.run::<Self>(session)
    }
}

impl Measurement for Delay {
    const TITLES: &'static [&'static str] = &["p50", "p90", "p99", "max", "mean", "jitter"];

    const NEEDS_CLOCK: bool = true;

    fn cells(meter: &Meter, _: Instant) -> Vec<String> {
        let delay = meter.delay();
        let parts: [fn(Distribution) -> f64; 6] =
            [|s| s.p50, |s| s.p90, |s| s.p99, |s| s.max, |s| s.mean, |s| s.jitter];
        let text = |part: fn(Distribution) -> f64| {
            delay.map_or_else(|| "-".to_owned(), |delay| duration(part(delay)))
        };
        parts.map(text).to_vec()
    }

    fn trend(meter: &Meter, now: Instant) -> f64 {
        meter.recent_delay(now)
    }

    fn to_json(meter: &Meter, _: Instant) -> Json {
        to_json(meter, meter.delay())
    }

    fn summary(meter: &Meter) -> String {
        meter.total_delay().map_or_else(
            || "no delay".to_owned(),
            |delay| {
                format!(
                    "delay p50 {} p90 {} p99 {} max {}",
                    duration(delay.p50),
                    duration(delay.p90),
                    duration(delay.p99),
                    duration(delay.max)
                )
            },
        )
    }

    fn summary_json(meter: &Meter) -> Json {
        to_json(meter, meter.total_delay())
    }
}

fn to_json(meter: &Meter, delay: Option<Distribution>) -> Json {
    json!({
        "delay": Distribution::to_json(delay),
        "early": meter.clock().early(),
        "clock_not_set": meter.clock().not_set(),
    })
}
