//! Figures with what they were measured on: as a table for people, as JSON for machines.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::stats::Summary;

/// The machine and the versions that figures belong to.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    rustc: &'static str,
    crates: &'static [(&'static str, &'static str)],
}

impl Machine {
    pub(crate) fn inspect() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = info
            .lines()
            .find_map(|line| line.strip_prefix("model name").or(line.strip_prefix("Model")))
            .map_or("unknown", |value| value.trim_start_matches([':', '\t', ' ']));
        let uname = rustix::system::uname();
        Self {
            cpu: cpu.into(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: format!(
                "{} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy()
            ),
            rustc: env!("CORTEX_BENCH_RUSTC"),
            crates: &[
                ("cortex-wire", env!("CARGO_PKG_VERSION")),
                ("rmp-serde", env!("CORTEX_BENCH_RMP_SERDE")),
            ],
        }
    }
}

/// One contender in one discipline.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// What was done, such as `encode Image`.
    pub(crate) task: String,
    /// Who did it.
    pub(crate) contender: &'static str,
    /// Nanoseconds for one operation.
    pub(crate) ns: Summary,
    /// Allocations in one operation.
    pub(crate) allocations: f64,
    /// Bytes written or read in one operation.
    pub(crate) bytes: usize,
    /// How many times as long as the first contender of the task, by medians.
    pub(crate) ratio: f64,
}

/// Everything measured in one run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    suites: Vec<(&'static str, Vec<Row>)>,
}

impl Report {
    pub(crate) const fn new(machine: Machine) -> Self {
        Self { machine, suites: Vec::new() }
    }

    pub(crate) fn print_machine(&self) {
        let Machine { cpu, cores, kernel, rustc, crates } = &self.machine;
        println!("machine  {cpu}, {cores} cores, {kernel}");
        println!("rustc    {rustc}");
        for (name, version) in *crates {
            println!("crate    {name} {version}");
        }
    }

    /// Prints the rows of a suite and keeps them.
    pub(crate) fn add(&mut self, suite: &'static str, rows: Vec<Row>) {
        println!();
        println!(
            "{:<22} {:<12} {:>10} {:>21} {:>9} {:>7} {:>7}",
            suite, "contender", "ns/op", "min..max", "allocs/op", "bytes", "ratio"
        );
        for row in &rows {
            let spread = format!("{:.1}..{:.1}", row.ns.min, row.ns.max);
            println!(
                "{:<22} {:<12} {:>10.1} {:>21} {:>9} {:>7} {:>6.2}x",
                row.task,
                row.contender,
                row.ns.median,
                spread,
                row.allocations,
                row.bytes,
                row.ratio
            );
        }
        self.suites.push((suite, rows));
    }

    pub(crate) fn write_json(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.flush()
    }
}
