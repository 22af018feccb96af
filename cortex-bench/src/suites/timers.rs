//! Suite timers: lateness of periodic callbacks, on an idle and on a busy machine.

use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use cortex_std::Node;
use cortex_std::discovery::Daemon;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::bench::Bench;
use crate::check::{Bound, twin_name};
use crate::contest::compete;
use crate::peer::{monotonic_ns, script, sleep_until_ns};
use crate::stats::{histogram, percentiles};
use crate::suite::{Better, Column, Suite};

const FLOOR: &str = "clock_nanosleep";

/// The implementation of a periodic timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Clock {
    /// A thread that calls `clock_nanosleep`.
    Kernel,
    /// A timer of a node, on a thread.
    CortexThread,
    /// A timer of a node, in its event loop.
    CortexAsync,
    /// `tokio::time::interval`.
    TokioInterval,
    /// A Python loop with `time.sleep`.
    Python,
}

impl Clock {
    fn argument(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::CortexThread => "cortex-thread",
            Self::CortexAsync => "cortex-async",
            Self::TokioInterval => "tokio-interval",
            Self::Python => "python",
        }
    }
}

/// The output of a timer process: lateness in microseconds, p50, p99 and p99.9.
#[derive(Debug, Serialize, Deserialize)]
struct Lateness {
    late_us: [f64; 3],
}

pub(crate) fn run(bench: &Bench) -> Result<Suite, Box<dyn Error>> {
    let column = |name| Column::new(name, "us", Better::Lower);
    let columns = vec![column("p50"), column("p99"), column("p99.9")];
    let question = "lateness of periodic callbacks";
    let mut suite = Suite::new("timers", question, FLOOR, columns);
    suite.drawn = vec![0, 1];
    let mut clocks = vec![
        (FLOOR.into(), Clock::Kernel),
        (twin_name(FLOOR), Clock::Kernel),
        ("cortex thread timer".into(), Clock::CortexThread),
        ("cortex async timer".into(), Clock::CortexAsync),
        ("tokio interval".into(), Clock::TokioInterval),
    ];
    if bench.has_python {
        clocks.push(("python loop".into(), Clock::Python));
    }
    let seconds = bench.effort.seconds(2.0);
    for (load, is_busy) in [("idle", false), ("busy", true)] {
        for rate in [100_u64, 1000] {
            let task = format!("{rate} Hz, {load}");
            bench.progress.expect(clocks.len());
            let _load = is_busy.then(Load::start).transpose()?;
            let period_ns = 1_000_000_000 / rate;
            let ticks = (seconds * rate as f64) as u64;
            compete(&mut suite, bench, &task, clocks.clone(), |clock| {
                Ok(measure(*clock, period_ns, ticks)?.to_vec())
            })?;
            suite.check_floor(&task, 1);
            for other in ["tokio interval", "python loop"] {
                suite.check(&task, 1, "cortex thread timer", other, Bound::AtMost(1.0));
            }
        }
    }
    suite.notes.push("busy: one process per core runs an endless loop".into());
    Ok(suite)
}

fn measure(clock: Clock, period_ns: u64, ticks: u64) -> Result<[f64; 3], Box<dyn Error>> {
    let mut command = match clock {
        Clock::Python => script("timer_loop.py"),
        _ => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("timer").arg(clock.argument());
            command
        }
    };
    let output = command.args([period_ns, ticks].map(|number| number.to_string())).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice::<Lateness>(&output.stdout)?.late_us)
}

/// Processes that keep every core busy until this is dropped.
struct Load(Vec<Child>);

impl Load {
    fn start() -> Result<Self, Box<dyn Error>> {
        let mut load = Self(Vec::new());
        for _ in 0..std::thread::available_parallelism()?.get() {
            let mut command = Command::new(std::env::current_exe()?);
            // It ends with its stdin, so also if this process is killed.
            load.0.push(command.arg("spin").stdin(Stdio::piped()).spawn()?);
        }
        Ok(load)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Keeps one core busy until stdin ends.
pub(crate) fn spin() -> ! {
    std::thread::spawn(|| {
        let mut count = 0_u64;
        loop {
            count = std::hint::black_box(count).wrapping_add(1);
        }
    });
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    std::process::exit(0)
}

/// Runs a timer in this process and prints its lateness.
pub(crate) fn run_timer(clock: Clock, period_ns: u64, ticks: u64) -> Result<(), Box<dyn Error>> {
    let period = Duration::from_nanos(period_ns);
    let late = match clock {
        Clock::Kernel => by_kernel(period_ns, ticks),
        Clock::CortexThread => by_thread(period, ticks)?,
        Clock::CortexAsync => by_node(period, ticks)?,
        Clock::TokioInterval => by_tokio(period, ticks)?,
        Clock::Python => return Err("the Python timer is peers/timer_loop.py".into()),
    };
    let late = Lateness { late_us: percentiles(&late, [50.0, 99.0, 99.9]) };
    println!("{}", serde_json::to_string(&late)?);
    Ok(())
}

fn by_kernel(period_ns: u64, ticks: u64) -> Histogram<u64> {
    let mut late = histogram();
    let start = monotonic_ns();
    for index in 1..=ticks {
        let due = start + index * period_ns;
        sleep_until_ns(due);
        late.saturating_record(monotonic_ns().saturating_sub(due));
    }
    late
}

fn by_thread(period: Duration, ticks: u64) -> Result<Histogram<u64>, Box<dyn Error>> {
    let (_folder, node) = node()?;
    let (sender, receiver) = channel();
    let mut late = histogram();
    let timer = node.timer_builder(period).on_thread(move |tick| {
        record(&mut late, tick.late);
        if late.len() == ticks {
            // Fails for later ticks: the receiver is dropped after the first histogram.
            let _ = sender.send(late.clone());
        }
    })?;
    let late = receiver.recv()?;
    drop(timer);
    Ok(late)
}

fn by_node(period: Duration, ticks: u64) -> Result<Histogram<u64>, Box<dyn Error>> {
    let (_folder, node) = node()?;
    let (sender, receiver) = channel();
    let mut late = histogram();
    let handle = node.handle();
    node.timer(period, async move |tick| {
        record(&mut late, tick.late);
        if late.len() == ticks {
            let _ = sender.send(late.clone());
            handle.shutdown();
        }
    });
    runtime()?.block_on(node.run())?;
    Ok(receiver.try_recv()?)
}

fn by_tokio(period: Duration, ticks: u64) -> Result<Histogram<u64>, Box<dyn Error>> {
    let mut late = histogram();
    runtime()?.block_on(async {
        let start = tokio::time::Instant::now() + period;
        let mut interval = tokio::time::interval_at(start, period);
        for _ in 0..ticks {
            let due = interval.tick().await.into_std();
            record(&mut late, Instant::now().saturating_duration_since(due));
        }
    });
    Ok(late)
}

fn record(histogram: &mut Histogram<u64>, late: Duration) {
    histogram.saturating_record(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// A node in a new graph.
fn node() -> Result<(tempfile::TempDir, Node), Box<dyn Error>> {
    let folder = tempfile::Builder::new().prefix("cortex-bench").tempdir()?;
    let address = format!("ipc://{}/discovery.sock", folder.path().display());
    Daemon::bind(&address)?.spawn()?;
    let node = Node::builder("timers").discovery(&address).create()?;
    Ok((folder, node))
}
