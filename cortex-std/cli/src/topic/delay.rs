//! `cortex topic delay`.

use clap::Args;
use serde_json::{Value as Json, json};

use crate::failure::Result;
use crate::measure::{Distribution, MeasureArgs, Measurement, Meter};
use crate::session::Session;
use crate::time::duration;

/// Measure the age of messages when they arrive.
///
/// The delay is the arrival time, by this machine's clock, minus the timestamp in the header, by the
/// publisher's clock. Between machines it is as exact as their clocks are synchronized; messages
/// with a timestamp in the future are counted and left out. For windows, terminals and exit codes
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

    fn cells(meter: &Meter) -> Vec<String> {
        let delay = meter.delay();
        let parts: [fn(Distribution) -> f64; 6] =
            [|s| s.p50, |s| s.p90, |s| s.p99, |s| s.max, |s| s.mean, |s| s.jitter];
        let text = |part: fn(Distribution) -> f64| {
            delay.map_or_else(|| "-".to_owned(), |delay| duration(part(delay)))
        };
        parts.map(text).to_vec()
    }

    fn trend(meter: &Meter) -> f64 {
        meter.recent_delay()
    }

    fn to_json(meter: &Meter) -> Json {
        json!({ "delay": Distribution::to_json(meter.delay()), "early": meter.early() })
    }

    fn summary(meter: &Meter) -> String {
        let delay = meter.total_delay().map_or_else(
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
        );
        match meter.early() {
            0 => delay,
            early => format!("{delay}, {early} with a timestamp in the future: the clocks differ"),
        }
    }

    fn summary_json(meter: &Meter) -> Json {
        json!({ "delay": Distribution::to_json(meter.total_delay()), "early": meter.early() })
    }
}
