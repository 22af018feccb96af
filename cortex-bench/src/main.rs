//! Measurements behind every speed claim of Cortex.
//!
//! ```text
//! cargo run --release -p cortex-bench -- all
//! cargo run --release -p cortex-bench -- codec --rounds 21 --json codec.json
//! ```
//!
//! Each suite answers one question. Contenders take turns within every round, so that a change of
//! the machine's speed meets all of them; the table gives the median of the rounds and the spread.

mod codec;
mod report;
mod stats;

use std::error::Error;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::report::{Machine, Report};

#[derive(Debug, Parser)]
#[command(about, version)]
struct Arguments {
    /// What to measure.
    #[arg(required = true, value_enum)]
    suites: Vec<Suite>,
    /// Short rounds, for a look; figures to quote need long ones.
    #[arg(long)]
    quick: bool,
    /// Rounds of every measurement.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Also writes everything to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// Every suite.
    All,
    /// Encoding and decoding metadata, against rmp-serde on the same bytes.
    Codec,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
struct Effort {
    rounds: u32,
    quick: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let effort = Effort { rounds: arguments.rounds, quick: arguments.quick };
    let wanted = |suite| arguments.suites.iter().any(|&s| s == suite || s == Suite::All);
    if cfg!(debug_assertions) {
        eprintln!("this is a debug build: its figures mean nothing");
    }
    let mut report = Report::new(Machine::inspect());
    report.print_machine();
    if wanted(Suite::Codec) {
        report.add("codec", codec::run(effort)?);
    }
    if let Some(path) = arguments.json {
        report.write_json(&path)?;
    }
    Ok(())
}
