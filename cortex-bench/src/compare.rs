//! Comparison of two reports.

use std::error::Error;
use std::path::Path;

use crate::report::Report;
use crate::suite::{Better, number};

/// Prints the figures of both reports with their ratio. A figure is better or worse if the intervals
/// of the two reports do not overlap.
pub(crate) fn compare(before: &Path, after: &Path) -> Result<(), Box<dyn Error>> {
    let [before, after] = [Report::read_json(before)?, Report::read_json(after)?];
    println!("before:");
    before.print_machine();
    println!("after:");
    after.print_machine();
    for suite in &after.suites {
        let Some(old) = before.suites.iter().find(|old| old.name == suite.name) else {
            println!("\n{}: not in the first report", suite.name);
            continue;
        };
        println!("\n{}: {}", suite.name, suite.question);
        println!("{:<8} {:>10} {:>10} {:>7}  figure", "", "before", "after", "ratio");
        for row in &suite.rows {
            let Some(old_row) = old.row(&row.task, &row.contender) else { continue };
            for (index, column) in suite.columns.iter().enumerate() {
                let old_index = old.columns.iter().position(|old| old.name == column.name);
                let Some(old_index) = old_index else { continue };
                let (was, is) = (old_row.summary(old_index), row.summary(index));
                let verdict = match column.better {
                    _ if was.low <= is.high && is.low <= was.high => "",
                    Better::Neither => "changed",
                    Better::Lower if is.median < was.median => "better",
                    Better::Higher if is.median > was.median => "better",
                    _ => "WORSE",
                };
                println!(
                    "{verdict:<8} {:>10} {:>10} {:>6.2}x  {}, {}: {} {}",
                    number(was.median),
                    number(is.median),
                    is.median / was.median,
                    row.task,
                    row.contender,
                    column.name,
                    column.unit,
                );
            }
        }
    }
    println!(
        "\nonly large differences between two runs are significant: contenders take turns only within one run"
    );
    Ok(())
}
