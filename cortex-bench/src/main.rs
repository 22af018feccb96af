//! Measurements behind every speed claim of Cortex.
//!
//! ```text
//! cargo run --release -p cortex-bench -- all
//! cargo run --release -p cortex-bench -- codec --rounds 21 --json codec.json
//! cargo run --release -p cortex-bench -- compare before.json after.json
//! ```
//!
//! Each suite answers one question. Contenders take turns within every round, so that a change of
//! the machine's speed meets all of them; the table gives the median of the rounds, the interval in
//! which it lies, and the ratio to the floor, round by round. The floor runs twice: how it stands to
//! itself (A/A) is what a difference must exceed to mean anything.

mod compare;
mod contest;
mod markdown;
mod peer;
mod plot;
mod progress;
mod reach;
mod report;
mod stats;
mod suites;

use std::error::Error;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::progress::Progress;
use crate::report::{Machine, Report, Suite};
use crate::suites::timers::Clock;
use crate::suites::{codec, fanout, images, latency, scale, serialization, throughput, timers};

#[derive(Debug, Parser)]
#[command(about, version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// What to measure.
    #[arg(required = true, value_enum)]
    suites: Vec<Wanted>,
    /// Short rounds and three of them, for a look; figures to quote need long ones.
    #[arg(long)]
    quick: bool,
    /// Rounds of every measurement; 7 unless set.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Leaves out the contenders in Python, which otherwise are installed with pip.
    #[arg(long)]
    no_python: bool,
    /// Also writes everything to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also draws every suite into this folder.
    #[arg(long, value_name = "FOLDER")]
    svg: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows how the second report differs from the first.
    Compare { before: PathBuf, after: PathBuf },
    /// Draws the suites of a report into a folder.
    Draw { report: PathBuf, folder: PathBuf },
    /// Prints a report as Markdown.
    Report {
        report: PathBuf,
        /// Puts it below the mark in this page instead, and the plots into the folder `img` beside it.
        #[arg(long, value_name = "FILE")]
        page: Option<PathBuf>,
    },
    /// One process of a contender.
    #[command(hide = true)]
    Peer { role: peer::Role, setup: String },
    /// A process that keeps the time.
    #[command(hide = true)]
    Timer { clock: Clock, period_ns: u64, ticks: u64 },
    /// A process that keeps a core busy.
    #[command(hide = true)]
    Spin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// Every suite.
    All,
    /// Encoding and decoding metadata, against rmp-serde on the same bytes.
    Codec,
    /// Whole messages, arrays included, in the formats that others use.
    Serialization,
    /// How old a message is in the callback, at 1 kHz.
    Latency,
    /// Messages per second, by length.
    Throughput,
    /// Pictures per second, by the way they are sent.
    Images,
    /// One publisher and many subscribers.
    Fanout,
    /// How late periodic callbacks are.
    Timers,
    /// How cost grows with the number of topics, in a node and at the daemon.
    Scale,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) rounds: u32,
    pub(crate) quick: bool,
}

/// What suites need to know.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) effort: Effort,
    pub(crate) progress: Progress,
    /// Whether the contenders in Python take part.
    pub(crate) has_python: bool,
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
            timers::keep(*clock, *period_ns, *ticks)
        }
        Some(Command::Spin) => timers::spin(),
    }
}

fn measure(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let quick = arguments.quick;
    let rounds = arguments.rounds.unwrap_or(if quick { 3 } else { 7 });
    let effort = Effort { rounds, quick };
    let is_wanted = |suite| arguments.suites.iter().any(|&s| s == suite || s == Wanted::All);
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: its figures mean nothing");
    }
    let mut machine = Machine::inspect();
    let is_alone = |suite| matches!(suite, Wanted::Codec | Wanted::Serialization);
    let wants_python = arguments.suites.iter().any(|&suite| !is_alone(suite));
    let python = (wants_python && !arguments.no_python).then(peer::python_version).flatten();
    let bench = Bench { effort, progress: Progress::new(rounds), has_python: python.is_some() };
    if let Some(version) = python {
        machine.note("Python", version);
    }
    let mut report = Report::new(machine, effort);
    bench.progress.pause(|| report.print_machine());
    let mut add = |suite: Suite| bench.progress.pause(|| report.add(suite));
    if is_wanted(Wanted::Codec) {
        add(codec::run(&bench)?);
    }
    if is_wanted(Wanted::Serialization) {
        add(serialization::run(&bench)?);
    }
    if is_wanted(Wanted::Latency) {
        add(latency::run(&bench)?);
    }
    if is_wanted(Wanted::Throughput) {
        add(throughput::run(&bench)?);
    }
    if is_wanted(Wanted::Images) {
        add(images::run(&bench)?);
    }
    if is_wanted(Wanted::Fanout) {
        add(fanout::run(&bench)?);
    }
    if is_wanted(Wanted::Timers) {
        add(timers::run(&bench)?);
    }
    if is_wanted(Wanted::Scale) {
        add(scale::node(&bench)?);
        add(scale::daemon(&bench)?);
    }
    bench.progress.end();
    report.print_reach();
    if let Some(path) = &arguments.json {
        report.write_json(path)?;
    }
    if let Some(folder) = &arguments.svg {
        plot::draw(&report, folder)?;
    }
    Ok(())
}
