//! A report as Markdown.

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::check::{Bound, Check, Verdict};
use crate::plot;
use crate::report::Report;
use crate::stats::Summary;
use crate::suite::{Better, Facts, Suite, number};

/// The mark in a page below which everything is generated.
const MARK: &str = "<!-- Below: cortex-bench report. -->";

/// Prints a report as Markdown, or writes it below the mark in a page and draws its plots into the
/// folder `img` beside the page.
pub(crate) fn report(report: &Report, page: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let Some(path) = page else {
        print!("{}", markdown(report));
        return Ok(());
    };
    let page = fs::read_to_string(path)?;
    let (prose, _) = page.split_once(MARK).ok_or("the page has no mark")?;
    fs::write(path, format!("{prose}{MARK}\n\n{}", markdown(report)))?;
    plot::draw(report, &path.with_file_name("img"))
}

fn markdown(report: &Report) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line("## Machine and versions\n");
    for (name, value) in report.origin() {
        line(&format!("- {name}: {value}"));
    }
    let suites = || report.suites.iter();
    let checks: Vec<_> =
        suites().flat_map(|suite| suite.checks.iter().map(move |check| (suite, check))).collect();
    if !checks.is_empty() {
        line("\n## Targets\n");
        line(&targets(&checks));
    }
    for suite in suites() {
        line(&format!("\n## {}\n", capitalised(&suite.name)));
        line(&format!("{}.\n", capitalised(&suite.question)));
        line(&format!("![{0}](img/{1})\n", suite.name, plot::file_name(suite)));
        if let Some(facts) = &suite.facts {
            line(&facts_table(facts));
        }
        for column in 0..suite.columns.len() {
            line(&table(suite, column));
        }
        for note in &suite.notes {
            line(&format!("- {note}."));
        }
    }
    out
}

/// The table of all targets, the missed ones first.
fn targets(checks: &[(&Suite, &Check)]) -> String {
    let mut out = head(["", "suite", "claim", "ratio", "interval", "limit", "A/A"]);
    for wanted in [Verdict::Missed, Verdict::WithinNoise, Verdict::Reached] {
        for (suite, check) in checks {
            let limit = match check.bound {
                Bound::AtMost(limit) => format!("at most {limit:.2}"),
                Bound::AtLeast(limit) => format!("at least {limit:.2}"),
                Bound::Shown => continue,
            };
            let verdict = match check.verdict() {
                verdict if verdict != wanted => continue,
                Verdict::Missed => "**missed**",
                Verdict::WithinNoise => "within A/A",
                Verdict::Reached => "reached",
            };
            let Summary { median, low, high } = check.ratio;
            let noise =
                check.noise.map_or(String::new(), |n| format!("{:.2}–{:.2}", n.low, n.high));
            out += &row([
                verdict,
                &suite.name,
                &check.claim,
                &format!("{median:.2}"),
                &format!("{low:.2}–{high:.2}"),
                &limit,
                &noise,
            ]);
        }
    }
    out
}

/// The table of one column of a suite, with a line for each contender and a cell for each task.
fn table(suite: &Suite, index: usize) -> String {
    let column = &suite.columns[index];
    let title = [column.name.as_str(), &column.unit].join(" ");
    let tasks = suite.tasks();
    let mut out = head([title.trim()].into_iter().chain(tasks.iter().copied()));
    for contender in suite.contenders() {
        let cells = tasks.iter().map(|task| {
            let Some(row) = suite.row(task, contender) else { return String::new() };
            let median = number(row.summary(index).median);
            let ratio = suite.ratio(task, index, contender, &suite.floor);
            match ratio {
                Some(ratio) if column.better != Better::Neither => {
                    format!("{median} ({}x)", number(ratio.median))
                }
                _ => median,
            }
        });
        out += &row([contender.to_owned()].into_iter().chain(cells));
    }
    out
}

fn facts_table(facts: &Facts) -> String {
    let mut out = head([""].into_iter().chain(facts.columns.iter().map(String::as_str)));
    for (name, facts) in &facts.rows {
        out += &row([name].into_iter().chain(facts));
    }
    out
}

fn head<'t>(cells: impl IntoIterator<Item = &'t str>) -> String {
    let cells: Vec<_> = cells.into_iter().collect();
    let rule = "|---".repeat(cells.len());
    format!("{}{rule}|\n", row(cells))
}

fn row(cells: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut out = String::new();
    for cell in cells {
        // Writing into a string cannot fail.
        let _ = write!(out, "| {} ", cell.as_ref());
    }
    out + "|\n"
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{Column, Row};

    fn suite() -> Suite {
        let columns = vec![Column::new("time", "ns", Better::Lower)];
        let mut suite = Suite::new("latency", "how old", "floor", columns);
        for (contender, samples) in [("floor", vec![2.0; 5]), ("ours", vec![3.0; 5])] {
            let row =
                Row { task: "64 B".into(), contender: contender.into(), samples: vec![samples] };
            suite.rows.push(row);
        }
        suite
    }

    #[test]
    fn a_table_has_a_line_for_each_contender() {
        let wanted = "| time ns | 64 B |\n|---|---|\n\
                      | floor | 2.00 (1.00x) |\n| ours | 3.00 (1.50x) |\n";
        assert_eq!(table(&suite(), 0), wanted);
    }

    #[test]
    fn missed_targets_come_first() {
        let mut suite = suite();
        suite.check("64 B", 0, "floor", "floor", Bound::AtMost(1.1));
        suite.check("64 B", 0, "ours", "floor", Bound::AtMost(1.1));
        let checks: Vec<_> = suite.checks.iter().map(|check| (&suite, check)).collect();
        let text = targets(&checks);
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert!(lines[0].starts_with("| **missed** | latency"), "{text}");
        assert!(lines[1].starts_with("| reached | latency"), "{text}");
    }
}
