//! Output: lines of text for people, JSON objects for programs.

use std::io::{IsTerminal, Write};

use serde_json::Value as Json;

use crate::failure::Result;

/// Colours, used if the output is a terminal and `NO_COLOR` is not set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    pub(crate) fn stdout() -> Self {
        Self { is_on: std::io::stdout().is_terminal() && allows_colours() }
    }

    pub(crate) fn stderr() -> Self {
        Self { is_on: std::io::stderr().is_terminal() && allows_colours() }
    }

    pub(crate) fn is_on(self) -> bool {
        self.is_on
    }

    /// Names of topics and nodes.
    pub(crate) fn name(self, text: &str) -> String {
        self.with("1", text)
    }

    /// Details.
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

fn allows_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints a line to stdout, with one system call.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{text}\n").as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints a line to stdout; on a terminal wraps it between words and indents all but its first line.
pub(crate) fn print_wrapped(text: &str, indent: usize) -> Result<()> {
    match std::io::stdout().is_terminal() {
        true => print(&wrapped(text, indent, terminal_size().0)),
        false => print(text),
    }
}

fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for (at, word) in text.split(' ').enumerate() {
        let len = display_width(word);
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

/// The width and height of the terminal in characters; 80 and 24 if they are unknown.
pub(crate) fn terminal_size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            (usize::from(size.ws_col), usize::from(size.ws_row))
        }
        _ => (80, 24),
    }
}

/// Prints a JSON object to stdout as one line.
pub(crate) fn print_json(object: &Json) -> Result<()> {
    print(&object.to_string())
}

/// Prints a line to stderr.
pub(crate) fn print_stderr(text: &str) {
    // If stderr is closed there is nowhere to report it.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The lines of a table whose columns are as wide as their widest cell.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width =
        |column: usize| rows.iter().map(|row| display_width(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let mut line = String::new();
        for (text, width) in row.iter().zip(&widths) {
            line += text;
            line.extend(std::iter::repeat_n(' ', width + 2 - display_width(text)));
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// The number of characters of a text on the screen, without colour codes.
pub(crate) fn display_width(text: &str) -> usize {
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

/// A text sent by a peer with its control characters escaped, which could control the terminal.
pub(crate) fn escaped(text: &str) -> String {
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
    fn long_lines_wrap_between_words_and_colours_have_no_width() {
        let text =
            "ok       \x1b[36mdaemon\x1b[0m: answers at ipc:///tmp/cortex/discovery.sock in time";
        let expected = "ok       \x1b[36mdaemon\x1b[0m: answers at\n         \
                        ipc:///tmp/cortex/discovery.sock\n         in time";
        assert_eq!(wrapped(text, 9, 30), expected);
        assert_eq!(wrapped(text, 9, 80), text);
    }
}
