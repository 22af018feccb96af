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
        Self { is_on: std::io::stdout().is_terminal() && is_wanted() }
    }

    /// The same of stderr.
    pub(crate) fn stderr() -> Self {
        Self { is_on: std::io::stderr().is_terminal() && is_wanted() }
    }

    pub(crate) fn is_on(self) -> bool {
        self.is_on
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

fn is_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Writes a text and a line end; one call of the system for each.
pub(crate) fn say(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{text}\n").as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes a text that may be long: on a terminal in lines that end between words, all but the first
/// indented by so many spaces.
pub(crate) fn say_long(text: &str, indent: usize) -> Result<()> {
    match std::io::stdout().is_terminal() {
        true => say(&wrapped(text, indent, terminal_size().0)),
        false => say(text),
    }
}

fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for (at, word) in text.split(' ').enumerate() {
        let len = visible(word);
        if at > 0 && used + 1 + len > width && used > indent {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        } else if at > 0 {
            lines.push(' ');
            used += 1;
        }
        lines += word;
        used += len;
    }
    lines
}

/// Columns and lines of the terminal.
pub(crate) fn terminal_size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => (80, 24),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_end_between_words_and_colours_take_no_place() {
        let text =
            "ok       \x1b[36mdaemon\x1b[0m: answers at ipc:///tmp/cortex/discovery.sock in time";
        let expected = "ok       \x1b[36mdaemon\x1b[0m: answers at\n         \
                        ipc:///tmp/cortex/discovery.sock\n         in time";
        assert_eq!(wrapped(text, 9, 30), expected);
        assert_eq!(wrapped(text, 9, 80), text);
    }
}
