//! A line of the terminal that is written again and again.

use std::io::Write;

use crate::failure::Result;
use crate::output::{cut, terminal_size};

#[derive(Debug, Default)]
pub(super) struct StatusLine {
    is_shown: bool,
}

impl StatusLine {
    /// Shows the text in place of the last one, cut to the width of the terminal.
    pub(super) fn show(&mut self, text: &str) -> Result<()> {
        let width = terminal_size().0.saturating_sub(1);
        self.is_shown = true;
        write(&format!("\r\x1b[J{}", cut(text, width)))
    }

    /// Erases the text.
    pub(super) fn erase(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_shown) { write("\r\x1b[J") } else { Ok(()) }
    }
}

fn write(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}
