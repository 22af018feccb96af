//! `cortex topic bw`.

use std::time::Instant;

use clap::Args;
use serde_json::{Value as Json, json};

use crate::failure::Result;
use crate::measure::{MeasureArgs, Measurement, Meter, Sizes, percent};
use crate::output::byte_count;
use crate::session::Session;

/// Measure bytes per second and message sizes.
///
/// The size of a message includes all its frames, also the topic. A megabyte is 1,000,000 bytes. For
/// windows, terminals and exit codes see `cortex topic hz --help`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex topic bw /cam/frame\n  cortex topic bw --all --json")]
pub(crate) struct Bw {
    #[command(flatten)]
    args: MeasureArgs,
}

impl Bw {
    pub(crate) fn run(&self, session: &Session) -> Result {
        self.args.run::<Self>(session)
    }
}

impl Measurement for Bw {
    const TITLES: &'static [&'static str] = &["bandwidth", "mean", "smallest", "largest", "lost"];

    const NEEDS_CLOCK: bool = false;

    fn cells(meter: &Meter, now: Instant) -> Vec<String> {
        let size = |size: Option<f64>| size.map_or_else(|| "-".to_owned(), byte_count);
        let sizes = meter.sizes();
        vec![
            per_second(meter.byte_rate(now)),
            size(sizes.map(|sizes| sizes.mean)),
            size(sizes.map(|sizes| sizes.min as f64)),
            size(sizes.map(|sizes| sizes.max as f64)),
            percent(meter.loss()),
        ]
    }

    fn trend(meter: &Meter, now: Instant) -> f64 {
        meter.recent_byte_rate(now)
    }

    fn to_json(meter: &Meter, now: Instant) -> Json {
        to_json(meter, meter.byte_rate(now), meter.sizes())
    }

    fn summary(meter: &Meter) -> String {
        format!(
            "{} in all, {}",
            byte_count(meter.bytes() as f64),
            per_second(meter.total_byte_rate())
        )
    }

    fn summary_json(meter: &Meter) -> Json {
        to_json(meter, meter.total_byte_rate(), meter.total_sizes())
    }
}

fn to_json(meter: &Meter, rate: Option<f64>, sizes: Option<Sizes>) -> Json {
    json!({
        "bytes_per_s": rate,
        "bytes": meter.bytes(),
        "smallest_bytes": sizes.map(|sizes| sizes.min),
        "mean_bytes": sizes.map(|sizes| sizes.mean),
        "largest_bytes": sizes.map(|sizes| sizes.max),
    })
}

fn per_second(rate: Option<f64>) -> String {
    rate.map_or_else(|| "- B/s".to_owned(), |rate| format!("{}/s", byte_count(rate)))
}
