//! `cortex topic hz`.

use std::time::Instant;

use clap::Args;
use serde_json::{Value as Json, json};

use crate::failure::Result;
use crate::measure::{Distribution, MeasureArgs, Measurement, Meter, percent};
use crate::session::Session;
use crate::time::duration;

/// Measure the rates at which messages are received and published, and losses.
///
/// Only headers are read. Rate and intervals follow from arrival times by this machine's clock, the
/// published rate from the sequence numbers of the same messages, so a loss does not look like a
/// slower publisher, and a clock that steps changes nothing but is reported. Losses count from the
/// first message received. A publisher is silent after three of its typical intervals, and at least
/// two seconds; it then has no rate.
///
/// On a terminal the table is updated in place and follows its size: names are shortened first, then
/// the last columns are left out, and rows that do not fit are counted. Elsewhere the command writes
/// one line per second for each topic. Ctrl-C ends it with a summary. Exit code 1 if messages were
/// lost, or none arrived.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex topic hz /cam/frame\n  cortex topic hz --all\n  \
    cortex topic hz --json --duration 10 /imu | tail -1 | jq .loss")]
pub(crate) struct Hz {
    #[command(flatten)]
    args: MeasureArgs,
}

impl Hz {
    pub(crate) fn run(&self, session: &Session) -> Result {
        self.args.run::<Self>(session)
    }
}

impl Measurement for Hz {
    const TITLES: &'static [&'static str] = &["rate", "published", "lost", "min", "max", "jitter"];

    const NEEDS_CLOCK: bool = false;

    fn cells(meter: &Meter, now: Instant) -> Vec<String> {
        let interval = meter.interval();
        let time = |part: fn(Distribution) -> f64| {
            interval.map_or_else(|| "-".to_owned(), |interval| duration(part(interval)))
        };
        vec![
            hertz(meter.rate(now)),
            hertz(meter.published_rate(now)),
            percent(meter.loss()),
            time(|interval| interval.min),
            time(|interval| interval.max),
            time(|interval| interval.jitter),
        ]
    }

    fn trend(meter: &Meter, now: Instant) -> f64 {
        meter.recent_rate(now)
    }

    fn to_json(meter: &Meter, now: Instant) -> Json {
        json!({
            "rate_hz": meter.rate(now),
            "published_hz": meter.published_rate(now),
            "interval": Distribution::to_json(meter.interval()),
        })
    }

    fn summary(meter: &Meter) -> String {
        let (rate, published) = meter.total_rates();
        let interval = meter.total_interval().map_or_else(String::new, |interval| {
            format!(
                ", interval p50 {} p99 {} max {} jitter {}",
                duration(interval.p50),
                duration(interval.p99),
                duration(interval.max),
                duration(interval.jitter)
            )
        });
        format!("{} received, {} published{interval}", hertz(rate), hertz(published))
    }

    fn summary_json(meter: &Meter) -> Json {
        let (rate, published) = meter.total_rates();
        json!({
            "rate_hz": rate,
            "published_hz": published,
            "interval": Distribution::to_json(meter.total_interval()),
        })
    }
}

fn hertz(rate: Option<f64>) -> String {
    rate.map_or_else(|| "- Hz".to_owned(), |rate| format!("{rate:.2} Hz"))
}
