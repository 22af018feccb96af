//! Figures with what they were measured on: as a table for people, as JSON for machines.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Effort;
use crate::reach::Check;
use crate::stats::{Summary, ratio};

/// The machine and the versions that figures belong to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_gib: u64,
    kernel: String,
    rustc: String,
    libzmq: String,
    packages: BTreeMap<String, String>,
}

impl Machine {
    pub(crate) fn inspect() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = info
            .lines()
            .find_map(|line| line.strip_prefix("model name").or(line.strip_prefix("Model")))
            .map_or("unknown", |value| value.trim_start_matches([':', '\t', ' ']));
        let uname = rustix::system::uname();
        let (major, minor, patch) = zmq::version();
        let memory = rustix::system::sysinfo();
        let packages = env!("CORTEX_BENCH_PACKAGES").split_whitespace().filter_map(|package| {
            package.split_once('=').map(|(name, version)| (name.to_owned(), version.to_owned()))
        });
        Self {
            cpu: cpu.into(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (memory.totalram as u64 * u64::from(memory.mem_unit)) >> 30,
            kernel: format!(
                "{} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy()
            ),
            rustc: env!("CORTEX_BENCH_RUSTC").into(),
            libzmq: format!("{major}.{minor}.{patch}"),
            packages: packages.collect(),
        }
    }

    /// Notes the version of something that is not one of our packages.
    pub(crate) fn note(&mut self, name: &str, version: String) {
        self.packages.insert(name.into(), version);
    }
}

/// What is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Better {
    Lower,
    Higher,
    /// A fact, such as a size.
    Neither,
}

/// One figure that a suite takes of each contender.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) better: Better,
}

impl Column {
    pub(crate) fn new(name: &str, unit: &str, better: Better) -> Self {
        Self { name: name.into(), unit: unit.into(), better }
    }
}

/// One contender in one discipline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// What was done, such as `encode Image`.
    pub(crate) task: String,
    /// Who did it.
    pub(crate) contender: String,
    /// For each column, one sample for each round.
    pub(crate) samples: Vec<Vec<f64>>,
}

impl Row {
    pub(crate) fn summary(&self, column: usize) -> Summary {
        Summary::of(&self.samples[column])
    }
}

/// How a suite is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Chart {
    Bars,
    Lines,
}

/// What is known of contenders without measuring.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) columns: Vec<String>,
    /// A contender, and what is true of it in each column.
    pub(crate) rows: Vec<(String, Vec<String>)>,
}

impl Facts {
    pub(crate) fn new<const N: usize>(columns: &[&str; N], rows: &[(&str, [&str; N])]) -> Self {
        let row =
            |(name, facts): &(&str, [&str; N])| ((*name).into(), facts.map(String::from).into());
        Self { columns: columns.map(String::from).into(), rows: rows.iter().map(row).collect() }
    }

    fn print(&self) {
        let lines = std::iter::once(("", &self.columns))
            .chain(self.rows.iter().map(|(name, facts)| (name.as_str(), facts)));
        for (name, facts) in lines {
            print!("  {name:<14}");
            facts.iter().for_each(|fact| print!(" {fact:<31}"));
            println!();
        }
    }
}

/// Everything that one suite measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Suite {
    pub(crate) name: String,
    /// The question that it answers.
    pub(crate) question: String,
    pub(crate) columns: Vec<Column>,
    /// Whom the ratios compare with.
    pub(crate) floor: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) checks: Vec<Check>,
    pub(crate) chart: Chart,
    /// Which columns are drawn.
    pub(crate) drawn: Vec<usize>,
    /// What one has to know to read it.
    pub(crate) notes: Vec<String>,
    #[serde(default)]
    pub(crate) facts: Option<Facts>,
}

impl Suite {
    pub(crate) fn new(name: &str, question: &str, floor: &str, columns: Vec<Column>) -> Self {
        Self {
            name: name.into(),
            question: question.into(),
            columns,
            floor: floor.into(),
            rows: Vec::new(),
            checks: Vec::new(),
            chart: Chart::Bars,
            drawn: vec![0],
            notes: Vec::new(),
            facts: None,
        }
    }

    pub(crate) fn row(&self, task: &str, contender: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.task == task && row.contender == contender)
    }

    /// The tasks, in their order.
    pub(crate) fn tasks(&self) -> Vec<&str> {
        distinct(self.rows.iter().map(|row| row.task.as_str()))
    }

    /// The contenders, in their order.
    pub(crate) fn contenders(&self) -> Vec<&str> {
        distinct(self.rows.iter().map(|row| row.contender.as_str()))
    }

    /// How a contender stands to another one, round by round.
    pub(crate) fn ratio(
        &self,
        task: &str,
        column: usize,
        contender: &str,
        other: &str,
    ) -> Option<Summary> {
        let samples = |name| self.row(task, name).and_then(|row| row.samples.get(column));
        Some(ratio(samples(contender)?, samples(other)?))
    }

    fn print(&self) {
        println!("\n{}: {}", self.name, self.question);
        let width = |texts: Vec<&str>| texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let (task, contender) = (width(self.tasks()), width(self.contenders()));
        print!("{:task$}  {:contender$}", "", "");
        for column in &self.columns {
            print!(" {:>11}", [column.name.as_str(), &column.unit].join(" ").trim());
            if column.better != Better::Neither {
                print!(" {:>17} {:>7}", "interval", "ratio");
            }
        }
        println!();
        for row in &self.rows {
            print!("{:task$}  {:contender$}", row.task, row.contender);
            for (index, column) in self.columns.iter().enumerate() {
                let Summary { median, low, high } = row.summary(index);
                print!(" {:>11}", number(median));
                if column.better != Better::Neither {
                    let interval = format!("{}..{}", number(low), number(high));
                    let ratio = self.ratio(&row.task, index, &row.contender, &self.floor);
                    let shown =
                        ratio.map_or("-".into(), |ratio| format!("{}x", number(ratio.median)));
                    print!(" {interval:>17} {shown:>7}");
                }
            }
            println!();
        }
        if let Some(facts) = &self.facts {
            facts.print();
        }
        for note in &self.notes {
            println!("  {note}");
        }
    }
}

fn distinct<'t>(texts: impl Iterator<Item = &'t str>) -> Vec<&'t str> {
    let mut found = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

/// Three digits that count, for people.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e7 => format!("{:.2}M", value / 1e6),
        size if size >= 1e4 => format!("{:.1}k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Everything measured in one run.
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

    /// What the figures belong to: a name and what it is.
    pub(crate) fn origin(&self) -> Vec<(&'static str, String)> {
        let Machine { cpu, cores, memory_gib, kernel, rustc, libzmq, packages } = &self.machine;
        let packages: Vec<_> =
            packages.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let kind = if self.quick { "short ones: for a look, not to quote" } else { "full ones" };
        vec![
            ("machine", format!("{cpu}, {cores} cores, {memory_gib} GiB, {kernel}")),
            ("rustc", rustc.clone()),
            ("libzmq", libzmq.clone()),
            ("packages", packages.join(", ")),
            ("rounds", format!("{}, {kind}", self.rounds)),
        ]
    }

    pub(crate) fn print_machine(&self) {
        for (name, what) in self.origin() {
            println!("{name:<9} {what}");
        }
    }

    /// Prints what a suite measured and keeps it.
    pub(crate) fn add(&mut self, suite: Suite) {
        suite.print();
        self.suites.push(suite);
    }

    /// Prints what was to be reached, and whether it was.
    pub(crate) fn print_reach(&self) {
        let checks =
            self.suites.iter().flat_map(|suite| suite.checks.iter().map(move |c| (suite, c)));
        println!(
            "\nreach: ratios of contenders that took turns, and the floor against itself (A/A)"
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
