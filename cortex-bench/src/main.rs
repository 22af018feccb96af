//! Measurements behind every speed claim of Cortex.
//!
//! ```text
//! cargo run --release -p cortex-bench -- all
//! cargo run --release -p cortex-bench -- codec --rounds 21 --json codec.json
//! cargo run --release -p cortex-bench -- compare before.json after.json
//! ```
//!
//! Each suite answers one question. Contenders take turns within every round, so that changes of the
//! machine's speed affect all of them. The table shows the median of the rounds, its confidence
//! interval, and the median of the ratios to the floor in each round. The floor runs twice: a
//! difference is significant only if it exceeds the ratio of the floor to itself (A/A).

mod bench;
mod check;
mod compare;
mod contest;
mod machine;
mod markdown;
mod peer;
mod plot;
mod progress;
mod report;
mod stats;
mod suite;
mod suites;

use std::error::Error;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::bench::{Bench, Effort};
use crate::machine::Machine;
use crate::progress::Progress;
use crate::report::Report;
use crate::suite::Suite;
use crate::suites::timers::Clock;
use crate::suites::{codec, fanout, images, latency, scale, serialization, throughput, timers};

#[derive(Debug, Parser)]
#[command(about, version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// Suites to run.
    #[arg(required = true, value_enum)]
    suites: Vec<SuiteName>,
    /// Run three short rounds; figures to quote need full rounds.
    #[arg(long)]
    quick: bool,
    /// Rounds of every measurement [default: 7, or 3 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Leave out the Python contenders, whose packages are otherwise installed with pip.
    #[arg(long)]
    no_python: bool,
    /// Leave out zenoh, the pure-Rust zeromq and iceoryx2, which take part if `peers-rs` is built.
    #[arg(long)]
    no_peers: bool,
    /// Write the report to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw every suite into this folder.
    #[arg(long, value_name = "FOLDER")]
    svg: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compare two reports.
    Compare { before: PathBuf, after: PathBuf },
    /// Draw the suites of a report into a folder.
    Draw { report: PathBuf, folder: PathBuf },
    /// Print a report as Markdown.
    Report {
        report: PathBuf,
        /// Write it below the mark in this page instead, and the plots into the folder `img` beside it.
        #[arg(long, value_name = "FILE")]
        page: Option<PathBuf>,
    },
    /// One process of a contender.
    #[command(hide = true)]
    Peer { role: peer::Role, setup: String },
    /// A process with a periodic timer.
    #[command(hide = true)]
    Timer { clock: Clock, period_ns: u64, ticks: u64 },
    /// A process that keeps one core busy.
    #[command(hide = true)]
    Spin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SuiteName {
    /// Every suite.
    All,
    /// Encoding and decoding metadata, compared with rmp-serde on the same bytes.
    Codec,
    /// Whole messages with their arrays, compared with other formats.
    Serialization,
    /// Age of a message in the callback, at 1 kHz.
    Latency,
    /// Messages per second, by length.
    Throughput,
    /// Images per second, by the way of sending.
    Images,
    /// One publisher and many subscribers.
    Fanout,
    /// Lateness of periodic callbacks.
    Timers,
    /// Cost by the number of topics, in a node and at the daemon.
    Scale,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    match &arguments.command {
        None => measure(&arguments),
        Some(Command::Compare { before, after }) => compare::compare(before, after),
        Some(Command::Draw { report, folder }) => plot::draw(&Report::read_json(report)?, folder),
        Some(Command::Report { report, page }) => {
            markdown::report(&Report::read_json(report)?, page.as_deref())
        }
        Some(Command::Peer { role, setup }) => peer::serve(*role, setup),
        Some(Command::Timer { clock, period_ns, ticks }) => {
            timers::run_timer(*clock, *period_ns, *ticks)
        }
        Some(Command::Spin) => timers::spin(),
    }
}

fn measure(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let quick = arguments.quick;
    let rounds = arguments.rounds.unwrap_or(if quick { 3 } else { 7 });
    let effort = Effort { rounds, quick };
    let is_selected = |suite| arguments.suites.iter().any(|&s| s == suite || s == SuiteName::All);
    if cfg!(debug_assertions) {
        eprintln!("warning: a debug build, whose figures are meaningless; use --release");
    }
    let mut machine = Machine::inspect();
    let is_rust_only = |suite| matches!(suite, SuiteName::Codec | SuiteName::Serialization);
    let needs_python = arguments.suites.iter().any(|&suite| !is_rust_only(suite));
    let python = (needs_python && !arguments.no_python).then(peer::python_version).flatten();
    let has_peers = !arguments.no_peers && peer::peers_program().is_some();
    let progress = Progress::new(rounds);
    let bench = Bench { effort, progress, has_python: python.is_some(), has_peers };
    if let Some(version) = python {
        machine.add_version("Python", version);
    }
    if has_peers {
        machine.add_version("peers-rs", env!("CORTEX_BENCH_PEERS").into());
    }
    let mut report = Report::new(machine, effort);
    bench.progress.pause(|| report.print_machine());
    let mut add = |suite: Suite| bench.progress.pause(|| report.add(suite));
    if is_selected(SuiteName::Codec) {
        add(codec::run(&bench)?);
    }
    if is_selected(SuiteName::Serialization) {
        add(serialization::run(&bench)?);
    }
    if is_selected(SuiteName::Latency) {
        add(latency::run(&bench)?);
    }
    if is_selected(SuiteName::Throughput) {
        add(throughput::run(&bench)?);
    }
    if is_selected(SuiteName::Images) {
        add(images::run(&bench)?);
    }
    if is_selected(SuiteName::Fanout) {
        add(fanout::run(&bench)?);
    }
    if is_selected(SuiteName::Timers) {
        add(timers::run(&bench)?);
    }
    if is_selected(SuiteName::Scale) {
        add(scale::node(&bench)?);
        add(scale::daemon(&bench)?);
    }
    bench.progress.end();
    report.print_targets();
    if let Some(path) = &arguments.json {
        report.write_json(path)?;
    }
    if let Some(folder) = &arguments.svg {
        plot::draw(&report, folder)?;
    }
    Ok(())
}
