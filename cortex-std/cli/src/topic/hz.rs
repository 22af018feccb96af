//! `cortex topic hz`.

use clap::Args;
use serde_json::{Value as Json, json};

use crate::failure::Result;
use crate::measure::{Distribution, MeasureArgs, Measurement, Meter};
use crate::session::Session;
use crate::time::duration;

/// Measure the rates at which messages are received and published, and losses.
///
/// Only headers are read. The received rate follows from arrival times, the published rate from the
/// publisher's sequence numbers and clock, so a loss does not look like a slower publisher. Losses
/// count from the first message received.
///
/// On a terminal the table is updated in place; elsewhere the command writes one line per second for
/// each topic. Ctrl-C ends it with a summary. Exit code 1 if messages were lost, or none arrived.
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

    fn cells(meter: &Meter) -> Vec<String> {
        let interval = meter.interval();
        let time = |part: fn(Distribution) -> f64| {
            interval.map_or_else(|| "-".to_owned(), |interval| duration(part(interval)))
        };
        vec![
            hertz(meter.rate()),
            hertz(meter.published_rate()),
            format!("{:.2} %", meter.loss() * 100.0),
            time(|interval| interval.min),
            time(|interval| interval.max),
            time(|interval| interval.jitter),
        ]
    }

    fn trend(meter: &Meter) -> f64 {
        meter.recent_rate()
    }

    fn to_json(meter: &Meter) -> Json {
        json!({
            "rate_hz": meter.rate(),
            "published_hz": meter.published_rate(),
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
