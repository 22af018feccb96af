//! A table that a terminal shows in place; other outputs get lines.

use std::io::{IsTerminal, Write};

use crate::failure::Result;
use crate::output::{Paint, cut, display_width, padded, print, shortened, terminal_size};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The columns of a name that stay when the terminal is narrow.
const MIN_NAME: usize = 10;
/// The columns of a sparkline that stay beside a shortened name, with the spaces around it.
const MIN_BARS: usize = 8;
/// The columns of a name that has a sparkline beside it.
const NAME_BESIDE_BARS: usize = 14;

/// A table that replaces its previous version on a terminal. It never changes a mode of the
/// terminal, so there is nothing to restore.
#[derive(Debug)]
pub(super) struct LiveTable {
    paint: Paint,
    is_terminal: bool,
    /// Lines of the previous version.
    shown: usize,
    /// Width and height of the terminal when it was drawn.
    size: (usize, usize),
}

/// A line of the table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) name: String,
    /// The values, or the reason why there are none.
    pub(super) cells: Result<Vec<String>, String>,
    /// A remark about the values, in place of the sparkline.
    pub(super) note: Option<String>,
    /// The history for the sparkline.
    pub(super) history: Vec<f64>,
}

/// The columns that fit into the terminal.
struct Layout {
    name: usize,
    /// Widths of the first columns; the others do not fit.
    cells: Vec<usize>,
}

impl Layout {
    /// The widths for a terminal of `width` columns: names are shortened first, then the last columns
    /// are left out.
    fn new(titles: &[&str], rows: &[Row], width: usize) -> Self {
        let names = rows.iter().map(|row| display_width(&row.name));
        let longest = names.chain([5]).max().unwrap_or_default();
        let cell_width = |(at, title): (usize, &&str)| {
            let cells = rows.iter().filter_map(|row| row.cells.as_ref().ok()?.get(at));
            cells.map(|cell| display_width(cell)).chain([title.len()]).max().unwrap_or_default()
        };
        let mut cells: Vec<usize> = titles.iter().enumerate().map(cell_width).collect();
        let used = |cells: &[usize]| cells.iter().map(|cell| cell + 2).sum::<usize>();
        while cells.len() > 1 && longest.min(MIN_NAME) + used(&cells) > width {
            cells.pop();
        }
        if used(&cells) >= width {
            cells.clear();
        }
        let left = width - used(&cells);
        let shortened = left.saturating_sub(MIN_BARS);
        let name = if shortened >= NAME_BESIDE_BARS { shortened } else { left };
        Self { name: longest.min(name), cells }
    }

    fn width(&self) -> usize {
        self.name + self.cells.iter().map(|cell| cell + 2).sum::<usize>()
    }

    /// A name and the cells behind it, each at the right of its column.
    fn line<'a>(&self, name: &str, cells: impl IntoIterator<Item = &'a str>) -> String {
        let mut line = padded(&shortened(name, self.name), self.name);
        for (cell, width) in cells.into_iter().zip(&self.cells) {
            line.extend(std::iter::repeat_n(' ', 2 + width.saturating_sub(display_width(cell))));
            line += cell;
        }
        line
    }
}

impl LiveTable {
    pub(super) fn new(paint: Paint) -> Self {
        Self { paint, is_terminal: std::io::stdout().is_terminal(), shown: 0, size: (0, 0) }
    }

    /// Whether the terminal was resized since the table was drawn.
    pub(super) fn is_resized(&self) -> bool {
        self.is_terminal && self.shown > 0 && terminal_size() != self.size
    }

    /// Shows the table with these rows.
    pub(super) fn show(&mut self, titles: &[&str], rows: &[Row]) -> Result<()> {
        if !self.is_terminal {
            return rows.iter().try_for_each(|row| print(&text_line(titles, row)));
        }
        let size = terminal_size();
        let lines = self.lines(titles, rows, size);
        let mut text = match self.shown {
            0 => String::new(),
            // A terminal may have wrapped or moved the lines of the previous version.
            _ if size != self.size => "\x1b[H\x1b[2J".to_owned(),
            shown => format!("\x1b[{shown}A"),
        };
        // Erases everything below as well: keys that the terminal echoed, and a taller table.
        text += "\r\x1b[J";
        for line in &lines {
            text += line;
            text.push('\n');
        }
        self.shown = lines.len();
        self.size = size;
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// The lines for a terminal of this width and height, the last line of which is the cursor's. They
    /// are narrower and fewer than the terminal.
    fn lines(&self, titles: &[&str], rows: &[Row], (width, height): (usize, usize)) -> Vec<String> {
        let layout = Layout::new(titles, rows, width);
        let titles: Vec<_> = titles.iter().map(|title| title.to_uppercase()).collect();
        let head = layout.line("TOPIC", titles.iter().map(String::as_str));
        let mut lines = vec![self.paint.faint(&head)];
        let room = height.saturating_sub(2);
        let shown = if rows.len() > room { room.saturating_sub(1) } else { rows.len() };
        lines.extend(rows.iter().take(shown).map(|row| self.row(&layout, row, width)));
        if shown < rows.len() {
            let more =
                format!(".. {} more rows: enlarge the terminal, or use --json", rows.len() - shown);
            lines.push(self.paint.warning(cut(&more, width)));
        }
        lines.truncate(height.saturating_sub(1).max(1));
        lines
    }

    fn row(&self, layout: &Layout, row: &Row, width: usize) -> String {
        let cells = match &row.cells {
            Ok(cells) => cells,
            Err(reason) => {
                let reason = cut(reason, width.saturating_sub(layout.name + 2));
                let line = format!("{}  {reason}", layout.line(&row.name, []));
                return self.paint.warning(cut(&line, width));
            }
        };
        let line = layout.line(&row.name, cells.iter().map(String::as_str));
        let left = width.saturating_sub(layout.width() + 2);
        let end = match &row.note {
            Some(note) => self.paint.warning(cut(note, left)),
            None => {
                // One column stays free at the right.
                let start = row.history.len().saturating_sub(left.saturating_sub(1));
                self.paint.key(&sparkline(row.history.get(start..).unwrap_or_default()))
            }
        };
        // Without the two spaces, which may not fit.
        if display_width(&end) == 0 { line } else { format!("{line}  {end}") }
    }

    /// Ends the table: the last version stays, with the cursor below it.
    pub(super) fn end(&mut self) {
        if self.is_terminal && self.shown > 0 {
            // Erases the ^C that the terminal echoed.
            let mut out = std::io::stdout().lock();
            let _ = out.write_all(b"\r\x1b[J").and_then(|()| out.flush());
        }
        self.shown = 0;
    }
}

/// A row as text for an output that is no terminal.
fn text_line(titles: &[&str], Row { name, cells, note, .. }: &Row) -> String {
    let text = match cells {
        Err(reason) => reason.clone(),
        Ok(cells) => {
            let pairs = titles.iter().zip(cells).map(|(title, cell)| format!("{title} {cell}"));
            pairs.collect::<Vec<_>>().join("  ")
        }
    };
    match note {
        Some(note) if cells.is_ok() => format!("{name}  {text}  ({note})"),
        _ => format!("{name}  {text}"),
    }
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

    const TITLES: [&str; 6] = ["rate", "published", "lost", "min", "max", "jitter"];

    fn row(name: &str) -> Row {
        let cells = ["30.00 Hz", "30.00 Hz", "0.00 %", "33.3 ms", "33.4 ms", "0.12 ms"];
        Row {
            name: name.to_owned(),
            cells: Ok(cells.map(str::to_owned).to_vec()),
            note: None,
            history: vec![1.0; 30],
        }
    }

    fn lines(rows: &[Row], size: (usize, usize)) -> Vec<String> {
        LiveTable::new(Paint::none()).lines(&TITLES, rows, size)
    }

    #[test]
    fn no_table_is_wider_or_taller_than_the_terminal() {
        let silent = Row { cells: Err("silent for 7 s".to_owned()), ..row("/imu") };
        let noted = Row { note: Some("the publisher's clock stepped".to_owned()), ..row("/gps") };
        let mut rows =
            vec![row("/cam/frame"), silent, noted, row("/カメラ/前方/画像"), row("/🚀/👩‍🚀")];
        rows.extend((0..40).map(|number| row(&format!("/{number}/{}", "long".repeat(12)))));
        for width in 1..140 {
            for height in [1, 2, 3, 10, 24, 60] {
                let shown = lines(&rows, (width, height));
                assert!(shown.len() < height.max(2), "{width}x{height}: {shown:?}");
                for line in shown {
                    assert!(display_width(&line) <= width, "{width}: {line}");
                }
            }
        }
    }

    #[test]
    fn the_most_important_numbers_stay_in_a_narrow_terminal() {
        let rows = [row("/robot/arm/left/gripper/joint_states"), row("/imu")];
        let narrow = lines(&rows, (40, 24));
        assert!(
            narrow[0].starts_with("TOPIC") && narrow[0].ends_with("RATE  PUBLISHED    LOST"),
            "{narrow:?}"
        );
        assert!(narrow[1].contains("  30.00 Hz   30.00 Hz  0.00 %"), "{narrow:?}");
        assert!(narrow[1].starts_with("/robo") && narrow[1].contains('…'), "{narrow:?}");
        // At 80 columns a long name takes no column away.
        let wide = lines(&rows, (80, 24));
        assert!(wide[0].ends_with("JITTER"), "{wide:?}");
        assert!(wide[2].ends_with('█'), "{wide:?}");
        assert!(lines(&rows, (20, 24))[1].ends_with("30.00 Hz"));
    }

    #[test]
    fn hidden_rows_are_counted() {
        let rows: Vec<_> = (0..40).map(|number| row(&format!("/{number}"))).collect();
        let shown = lines(&rows, (80, 24));
        assert_eq!(shown.len(), 23);
        assert_eq!(shown[22], ".. 19 more rows: enlarge the terminal, or use --json");
        assert!(shown[21].starts_with("/20"), "{shown:?}");
        assert_eq!(lines(&rows[..22], (80, 24)).len(), 23);
    }

    #[test]
    fn columns_are_aligned_by_their_width_on_the_screen() {
        let rows = [row("/カメラ"), row("/🚀"), row("/camera")];
        let ends = |line: &String| {
            let (before, _) = line.split_once("  30.00 Hz").expect("a rate");
            display_width(before)
        };
        let shown = lines(&rows, (80, 24));
        let found: Vec<_> = shown[1..].iter().map(ends).collect();
        assert_eq!(found, [7, 7, 7], "{shown:?}");
    }

    #[test]
    fn bars_are_proportional_to_the_largest_number() {
        assert_eq!(sparkline(&[0.0, 5.0, 10.0]), "▁▅█");
        assert_eq!(sparkline(&[0.0, 0.0]), "▁▁");
        assert_eq!(sparkline(&[]), "");
    }
}
