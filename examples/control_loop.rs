//! A control loop at 1 kHz on a dedicated thread. Prints the lateness of its ticks as percentiles, and
//! optionally draws a histogram.
//!
//! `cargo run --release --bin control_loop`
//! `cargo run --release --bin control_loop -- --seconds 60 --png jitter.png`
//! With a real-time priority (needs the permission to set one), on the second core:
//! `sudo target/release/control_loop --fifo 80 --core 1`
//!
//! It needs no daemon and no tokio. Ctrl-C ends it early. Python twin: none.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use cortex_std::{MissedTicks, Node, ThreadOptions};
use hdrhistogram::Histogram;

/// Upper limit of the histogram, in microseconds; later ticks count as this late.
const LATEST: u64 = 10_000_000;

/// Measures how exactly this machine keeps a period.
#[derive(Parser)]
#[command(name = "control_loop", version)]
struct Arguments {
    /// Duration of the measurement, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The period, in microseconds.
    #[arg(long, value_name = "US", default_value_t = 1000)]
    period: u64,
    /// SCHED_FIFO priority of the loop, 1 to 99; needs CAP_SYS_NICE.
    #[arg(long, value_name = "PRIORITY")]
    fifo: Option<u8>,
    /// A core that the loop may run on; default: all cores.
    #[arg(long)]
    core: Vec<usize>,
    /// File for a picture of the histogram.
    #[arg(long, value_name = "PATH")]
    png: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let Arguments { seconds, period, fifo, core, png } = Arguments::parse();
    let period = Duration::from_micros(period.max(1));
    let count = Duration::from_secs(seconds).as_nanos() / period.as_nanos();
    println!("{count} ticks of {period:?}");

    let node = Node::builder("control_loop").create()?;
    let lateness = Arc::new(Mutex::new(Histogram::<u64>::new_with_bounds(1, LATEST, 3)?));
    let (recorder, handle) = (Arc::clone(&lateness), node.handle());
    let options = ThreadOptions { name: "control".into(), cores: core, fifo_priority: fifo };
    let control =
        node.timer_builder(period).missed_ticks(MissedTicks::Skip).thread(options).on_thread(
            move |tick| {
                // A robot would read its sensors and command its motors here.
                let micros = u64::try_from(tick.late.as_micros()).unwrap_or(u64::MAX);
                recorder.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(micros);
                if u128::from(tick.index) + 1 >= count {
                    handle.shutdown();
                }
            },
        )?;
    node.spin()?;

    let lateness = lateness.lock().unwrap_or_else(PoisonError::into_inner);
    println!("called {} times, {} ticks missed", lateness.len(), control.overruns());
    for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
        println!("late {name:<5} {:>7} us", lateness.value_at_quantile(quantile));
    }
    println!("late max   {:>7} us", lateness.max());
    if let Some(path) = png {
        draw(&path, &lateness).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("saved as {}", path.display());
    }
    Ok(())
}

const SIZE: [usize; 2] = [800, 420];
/// Left and bottom ends of the axes.
const ORIGIN: [usize; 2] = [90, 370];
const BARS: usize = 80;
const BAR: usize = 8;
const HEIGHT: f64 = 340.0;
/// Digits, `u` and `s`: five rows of three dots each.
const GLYPHS: [u16; 12] = [
    0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71222, 0o75757, 0o75717,
    0o05557, 0o34216,
];

/// Draws a bar for each span of lateness, as high as the logarithm of its count. The last bar contains
/// all later ticks.
fn draw(path: &Path, lateness: &Histogram<u64>) -> Result<(), Box<dyn Error>> {
    let mut canvas = vec![255_u8; SIZE[0] * SIZE[1]];
    // A mark every ten bars, at round numbers; the scale covers 99.9 % of the ticks.
    let most = lateness.value_at_quantile(0.999);
    let steps = (1..7).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
    let step = steps.into_iter().find(|step| step * 8 >= most).unwrap_or(LATEST);
    let mut bars = [0_u64; BARS];
    for span in lateness.iter_recorded() {
        let bar = span.value_iterated_to() * 10 / step;
        bars[usize::try_from(bar)?.min(BARS - 1)] += span.count_since_last_iteration();
    }
    let decades = (bars.iter().max().copied().unwrap_or(1).max(2) as f64).log10().ceil();
    // A count of one has a height as well.
    let height = |count: f64| ((count.log10() + 0.3) / (decades + 0.3) * HEIGHT) as usize;
    let [left, bottom] = ORIGIN;
    for power in 0..=decades as u32 {
        let count = 10_u64.pow(power).to_string();
        let y = bottom - height(count.parse()?);
        fill(&mut canvas, [left, y], [BARS * BAR, 1], 215);
        write(&mut canvas, [left - 10 - count.len() * 12, y - 7], &count);
    }
    for (at, &count) in bars.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = height(count as f64);
        fill(&mut canvas, [left + at * BAR, bottom - height], [BAR - 1, height], 90);
    }
    for mark in 0..=8 {
        let (x, text) = (left + mark * 10 * BAR, (mark as u64 * step).to_string());
        fill(&mut canvas, [x, bottom], [2, 8], 0);
        let text = if mark == 8 { text + "us" } else { text };
        write(&mut canvas, [x - text.len().min(5) * 6, bottom + 14], &text);
    }
    fill(&mut canvas, [left, bottom], [BARS * BAR, 2], 0);
    fill(&mut canvas, [left, bottom - HEIGHT as usize], [2, HEIGHT as usize], 0);

    let file = BufWriter::new(File::create(path)?);
    let mut encoder = png::Encoder::new(file, SIZE[0] as u32, SIZE[1] as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&canvas)?;
    Ok(writer.finish()?)
}

fn fill(canvas: &mut [u8], [x, y]: [usize; 2], [width, height]: [usize; 2], shade: u8) {
    for row in canvas.chunks_exact_mut(SIZE[0]).skip(y).take(height) {
        row.iter_mut().skip(x).take(width).for_each(|pixel| *pixel = shade);
    }
}

fn write(canvas: &mut [u8], [x, y]: [usize; 2], text: &str) {
    for (place, character) in text.chars().enumerate() {
        let index = "0123456789us".find(character).unwrap_or(0);
        for dot in (0..15).filter(|dot| GLYPHS[index] >> (14 - dot) & 1 == 1) {
            fill(canvas, [x + place * 12 + dot % 3 * 3, y + dot / 3 * 3], [3, 3], 0);
        }
    }
}
