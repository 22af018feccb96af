//! The figures of one suite, and how they are printed.

use serde::{Deserialize, Serialize};

use crate::check::{Bound, Check, twin_name};
use crate::stats::{Summary, ratio};

/// The direction in which a figure improves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Better {
    Lower,
    Higher,
    /// None: the figure is a property such as a size.
    Neither,
}

/// A figure that a suite measures for each contender.
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

/// The samples of one contender in one task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The operation, such as `encode Image`.
    pub(crate) task: String,
    /// The name of the contender.
    pub(crate) contender: String,
    /// One sample per round, for each column.
    pub(crate) samples: Vec<Vec<f64>>,
}

impl Row {
    pub(crate) fn summary(&self, column: usize) -> Summary {
        Summary::of(&self.samples[column])
    }
}

/// The kind of plot of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Chart {
    Bars,
    Lines,
}

/// Properties of contenders that are not measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) columns: Vec<String>,
    /// A contender, and its property in each column.
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

/// The figures of one suite.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Suite {
    pub(crate) name: String,
    /// The question that the suite answers.
    pub(crate) question: String,
    pub(crate) columns: Vec<Column>,
    /// The contender that all ratios refer to.
    pub(crate) floor: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) checks: Vec<Check>,
    pub(crate) chart: Chart,
    /// The columns that are drawn.
    pub(crate) drawn: Vec<usize>,
    /// Explanations of the figures.
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

    /// The tasks in the order of their first row.
    pub(crate) fn tasks(&self) -> Vec<&str> {
        distinct(self.rows.iter().map(|row| row.task.as_str()))
    }

    /// The contenders in the order of their first row.
    pub(crate) fn contenders(&self) -> Vec<&str> {
        distinct(self.rows.iter().map(|row| row.contender.as_str()))
    }

    /// The ratio of a contender to another one, computed for each round; `None` if one has no row.
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

    /// Adds a check of `contender` against `other` in one task and column, unless one of them was left
    /// out of the run.
    pub(crate) fn check(
        &mut self,
        task: &str,
        column: usize,
        contender: &str,
        other: &str,
        bound: Bound,
    ) {
        let Some(ratio) = self.ratio(task, column, contender, other) else { return };
        let twin = twin_name(&self.floor);
        let noise = self.ratio(task, column, &twin, &self.floor);
        let name = &self.columns[column].name;
        let claim = format!("{task}: {name} of {contender} against {other}");
        self.checks.push(Check { claim, bound, ratio, noise });
    }

    /// Adds the ratio of the floor to its twin, without a limit.
    pub(crate) fn check_floor(&mut self, task: &str, column: usize) {
        let floor = self.floor.clone();
        self.check(task, column, &twin_name(&floor), &floor, Bound::Shown);
    }

    /// Prints the suite as a table.
    pub(crate) fn print(&self) {
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

/// A number with three significant digits, in thousands or millions if it is large.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e7 => format!("{:.2}M", value / 1e6),
        size if size >= 1e4 => format!("{:.1}k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
