//! A table that a terminal shows in place; other outputs get lines.

use std::io::{IsTerminal, Write};

use crate::failure::Result;
use crate::output::{Paint, display_width, print, terminal_size};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A table that replaces its previous version on a terminal. It never changes a mode of the
/// terminal, so there is nothing to restore.
pub(crate) struct LiveTable {
    paint: Paint,
    is_terminal: bool,
    /// Lines of the previous version.
    shown: usize,
}

/// A topic, its values or the reason why there are none, and the history for the sparkline.
type Row<'a> = (String, Result<Vec<String>, String>, &'a [f64]);

impl LiveTable {
    pub(crate) fn new(paint: Paint) -> Self {
        Self { paint, is_terminal: std::io::stdout().is_terminal(), shown: 0 }
    }

    /// Shows the table with these rows.
    pub(crate) fn show<'a>(
        &mut self,
        titles: &[&str],
        rows: impl Iterator<Item = Row<'a>>,
    ) -> Result<()> {
        if !self.is_terminal {
            return rows.into_iter().try_for_each(|(name, cells, _)| match cells {
                Err(reason) => print(&format!("{name}  {reason}")),
                Ok(cells) => {
                    let pairs =
                        titles.iter().zip(&cells).map(|(title, cell)| format!("{title} {cell}"));
                    print(&format!("{name}  {}", pairs.collect::<Vec<_>>().join("  ")))
                }
            });
        }
        let (width, height) = terminal_size();
        let mut lines = self.table(titles, rows.collect(), width);
        lines.truncate(height.saturating_sub(1).max(2));
        let mut text = String::new();
        if self.shown > 0 {
            text += &format!("\x1b[{}A", self.shown);
        }
        // Erases everything below as well: keys that the terminal echoed, and a taller table.
        text += "\r\x1b[J";
        for line in &lines {
            text += line;
            text.push('\n');
        }
        self.shown = lines.len();
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    fn table(&self, titles: &[&str], rows: Vec<Row<'_>>, width: usize) -> Vec<String> {
        let name_width =
            rows.iter().map(|(name, ..)| display_width(name)).chain([5]).max().unwrap_or_default();
        let cell_width = |at: usize| {
            let cells = rows.iter().filter_map(|(_, cells, _)| cells.as_ref().ok()?.get(at));
            let title = titles.get(at).map_or(0, |title| display_width(title));
            cells.map(|cell| display_width(cell)).chain([title]).max().unwrap_or_default()
        };
        let widths: Vec<_> = (0..titles.len()).map(cell_width).collect();
        let mut head = format!("{:name_width$}", "TOPIC");
        for (title, width) in titles.iter().zip(&widths) {
            head += &format!("  {:>width$}", title.to_uppercase());
        }
        let mut lines = vec![self.paint.faint(&cut(&head, width))];
        for (name, cells, history) in rows {
            let mut line = format!("{name:name_width$}");
            let mut used = name_width;
            match &cells {
                Err(reason) => {
                    line += &format!("  {reason}");
                    used += 2 + display_width(reason);
                }
                Ok(cells) => {
                    for (cell, width) in cells.iter().zip(&widths) {
                        line += &format!("  {cell:>width$}");
                        used += 2 + width;
                    }
                }
            }
            let line = cut(&line, width);
            let left = width.saturating_sub(used + 3);
            let start = history.len().saturating_sub(left);
            let bars = sparkline(history.get(start..).unwrap_or_default());
            lines.push(match cells {
                Err(_) => self.paint.warning(&line),
                // Without the two spaces, which may not fit.
                Ok(_) if bars.is_empty() => line,
                Ok(_) => format!("{line}  {}", self.paint.key(&bars)),
            });
        }
        lines
    }

    /// Ends the table: the last version stays, with the cursor below it.
    pub(crate) fn end(&mut self) {
        if self.is_terminal && self.shown > 0 {
            // Erases the ^C that the terminal echoed.
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(b"\r\x1b[J").and_then(|()| out.flush());
        }
        self.shown = 0;
    }
}

/// The first `width` characters of a line without colours.
fn cut(line: &str, width: usize) -> String {
    line.chars().take(width).collect()
}

/// Numbers as bars, relative to the largest one.
fn sparkline(numbers: &[f64]) -> String {
    let largest = numbers.iter().copied().filter(|number| number.is_finite()).fold(0.0, f64::max);
    let bar = |number: &f64| {
        let part = if largest > 0.0 { number / largest } else { 0.0 };
        let at = (part * (BARS.len() - 1) as f64).round();
        BARS.get(at as usize).copied().unwrap_or(BARS[0])
    };
    numbers.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let screen = LiveTable::new(Paint::stdout());
        let past = [1.0; 30];
        for width in 0..80 {
            let rows = vec![
                ("/cam/frame".to_owned(), Ok(vec!["30.00 Hz".to_owned(); 3]), &past[..]),
                ("/imu".to_owned(), Err("silent for 7 s".to_owned()), &past[..]),
            ];
            for line in screen.table(&["rate", "published", "lost"], rows, width) {
                assert!(display_width(&line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn bars_are_proportional_to_the_largest_number() {
        assert_eq!(sparkline(&[0.0, 5.0, 10.0]), "▁▅█");
        assert_eq!(sparkline(&[0.0, 0.0]), "▁▁");
        assert_eq!(sparkline(&[]), "");
    }
}
