//! `cortex topic delay`.

use clap::Args;
use serde_json::{Value as Json, json};

use crate::failure::Result;
use crate::measure::{Gauge, Measuring, Meter, Spread};
use crate::render::duration;
use crate::session::Session;

/// Measure how old messages are when they come.
///
/// That is the time from the one in the header, by the publisher's clock, to the arrival by this
/// machine's. Between machines this is right only as far as their clocks agree; messages that seem to come
/// before they were sent are counted and left out. What `cortex topic hz --help` says of windows,
/// terminals and exit codes holds here.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex topic delay /cam/frame\n  \
    cortex topic delay --window 100 --all\n  \
    cortex topic delay --json --duration 10 /imu | tail -1 | jq .delay.p99_s")]
pub(crate) struct Delay {
    #[command(flatten)]
    measuring: Measuring,
}

impl Delay {
    pub(crate) fn run(&self, session: &Session) -> Result {
        self.measuring.run::<Self>(session)
    }
}

impl Gauge for Delay {
    const TITLES: &'static [&'static str] = &["p50", "p90", "p99", "max", "mean", "jitter"];

    fn cells(meter: &Meter) -> Vec<String> {
        let delay = meter.delay();
        let parts: [fn(Spread) -> f64; 6] =
            [|s| s.p50, |s| s.p90, |s| s.p99, |s| s.max, |s| s.mean, |s| s.jitter];
        let text = |part: fn(Spread) -> f64| {
            delay.map_or_else(|| "-".to_owned(), |spread| duration(part(spread)))
        };
        parts.map(text).to_vec()
    }

    fn trend(meter: &Meter) -> f64 {
        meter.recent_delay()
    }

    fn to_json(meter: &Meter) -> Json {
        json!({ "delay": Spread::to_json(meter.delay()), "early": meter.early() })
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
            early => format!("{delay}, {early} from the future: clocks differ"),
        }
    }

    fn summary_json(meter: &Meter) -> Json {
        json!({ "delay": Spread::to_json(meter.total_delay()), "early": meter.early() })
    }
}
