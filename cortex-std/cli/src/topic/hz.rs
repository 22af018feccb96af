//! `cortex topic hz`.

use clap::Args;
use serde_json::{Value as Json, json};

use crate::failure::Result;
use crate::measure::{Gauge, Measuring, Meter, Spread};
use crate::render::duration;
use crate::session::Session;

/// Measure how often messages come, how often they are published, and how many are lost.
///
/// Only headers are read. The received rate is by arrival, the published one by the publisher's
/// numbers and clock, so losses do not look like a slower publisher. Losses count from the first
/// message that is seen.
///
/// On a terminal the table is refreshed in place; elsewhere a line a second is written for each
/// topic. Ctrl-C ends with a summary. Exit code 1 where messages were lost, or none came.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex topic hz /cam/frame\n  cortex topic hz --all\n  \
    cortex topic hz --json --duration 10 /imu | tail -1 | jq .loss")]
pub(crate) struct Hz {
    #[command(flatten)]
    measuring: Measuring,
}

impl Hz {
    pub(crate) fn run(&self, session: &Session) -> Result {
        self.measuring.run::<Self>(session)
    }
}

impl Gauge for Hz {
    const TITLES: &'static [&'static str] = &["rate", "published", "lost", "min", "max", "jitter"];

    fn cells(meter: &Meter) -> Vec<String> {
        let interval = meter.interval();
        let time = |part: fn(Spread) -> f64| {
            interval.map_or_else(|| "-".to_owned(), |spread| duration(part(spread)))
        };
        vec![
            hertz(meter.rate()),
            hertz(meter.published_rate()),
            format!("{:.2} %", meter.loss() * 100.0),
            time(|spread| spread.min),
            time(|spread| spread.max),
            time(|spread| spread.jitter),
        ]
    }

    fn trend(meter: &Meter) -> f64 {
        meter.recent_rate()
    }

    fn to_json(meter: &Meter) -> Json {
        json!({
            "rate_hz": meter.rate(),
            "published_hz": meter.published_rate(),
            "interval": Spread::to_json(meter.interval()),
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
            "interval": Spread::to_json(meter.total_interval()),
        })
    }
}

fn hertz(rate: Option<f64>) -> String {
    rate.map_or_else(|| "- Hz".to_owned(), |rate| format!("{rate:.2} Hz"))
}
