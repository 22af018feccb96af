//! All figures of one run: printed for people, stored as JSON.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bench::Effort;
use crate::machine::Machine;
use crate::suite::Suite;

/// The suites of one run, and the machine that they ran on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) quick: bool,
    pub(crate) rounds: u32,
    pub(crate) suites: Vec<Suite>,
}

impl Report {
    pub(crate) fn new(machine: Machine, effort: Effort) -> Self {
        Self { machine, quick: effort.quick, rounds: effort.rounds, suites: Vec::new() }
    }

    /// Names and values of machine, versions and rounds.
    pub(crate) fn origin(&self) -> Vec<(&'static str, String)> {
        let Machine { cpu, cores, memory_gib, kernel, rustc, libzmq, packages } = &self.machine;
        let packages: Vec<_> =
            packages.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let kind = if self.quick { "short: not for figures to quote" } else { "full length" };
        vec![
            ("machine", format!("{cpu}, {cores} cores, {memory_gib} GiB, {kernel}")),
            ("rustc", rustc.clone()),
            ("libzmq", libzmq.clone()),
            ("packages", packages.join(", ")),
            ("rounds", format!("{}, {kind}", self.rounds)),
        ]
    }

    pub(crate) fn print_machine(&self) {
        for (name, value) in self.origin() {
            println!("{name:<9} {value}");
        }
    }

    /// Prints a suite and adds it to the report.
    pub(crate) fn add(&mut self, suite: Suite) {
        suite.print();
        self.suites.push(suite);
    }

    /// Prints the targets of all suites, and whether they were reached.
    pub(crate) fn print_targets(&self) {
        let checks =
            self.suites.iter().flat_map(|suite| suite.checks.iter().map(move |c| (suite, c)));
        println!(
            "\ntargets: ratios of contenders in the same rounds, and the floor against itself (A/A)"
        );
        for (suite, check) in checks {
            println!("{:<10} {check}", suite.name);
        }
    }

    pub(crate) fn write_json(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.flush()
    }

    pub(crate) fn read_json(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }
}
