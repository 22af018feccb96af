//! What is written to stdout: lines for people or objects for programs.

use std::io::{IsTerminal, Write};

use serde_json::Value as Json;

use crate::failure::Result;

/// Colours, where stdout is a terminal and `NO_COLOR` is not set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    pub(crate) fn stdout() -> Self {
        let is_refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { is_on: std::io::stdout().is_terminal() && !is_refused }
    }

    /// Topics, nodes: what people look for.
    pub(crate) fn name(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What people look at only when they must.
    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    /// Names of fields.
    pub(crate) fn key(self, text: &str) -> String {
        self.with("36", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.is_on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Writes a text and a line end; one call of the system for each.
pub(crate) fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{text}\n").as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes an object as one line.
pub(crate) fn say_json(object: &Json) -> Result<()> {
    say(&object.to_string())
}

/// Writes a text for people to stderr, where nobody parses it.
pub(crate) fn note(text: &str) {
    // Who closed stderr does not want to know.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Lines of columns, each as wide as its widest text; the last is left as it is.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| visible(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (text, width) in row.iter().zip(&widths) {
            line += text;
            line.extend(std::iter::repeat_n(' ', width + 2 - visible(text)));
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// Characters of a text that take a place on the screen: all but those of colours.
pub(crate) fn visible(text: &str) -> usize {
    let mut count = 0;
    let mut is_code = false;
    for character in text.chars() {
        match character {
            '\x1b' => is_code = true,
            'm' if is_code => is_code = false,
            _ if is_code => {}
            _ => count += 1,
        }
    }
    count
}

/// A text from a peer, safe to show: control characters, which could command the terminal, are
/// escaped.
pub(crate) fn safe(text: &str) -> String {
    let escape = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(escape).collect()
}
