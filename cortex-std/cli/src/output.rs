//! Output: lines of text for people, JSON objects for programs.

use std::io::{IsTerminal, Write};

use serde_json::Value as Json;
use unicode_width::UnicodeWidthStr;

use crate::failure::{Failure, Result};

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

    /// No colours.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { is_on: false }
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

/// Refuses `--json` for an output of another format. clap detects no conflict with an option of all
/// commands that precedes the verb.
pub(crate) fn refuse_json(is_json: bool, what: &str) -> Result<()> {
    match is_json {
        true => Err(Failure::Usage(format!("{what} is not JSON: leave out --json"))),
        false => Ok(()),
    }
}

/// Prints a JSON object to stdout as one line.
pub(crate) fn print_json(object: &Json) -> Result<()> {
    print(&json_line(object))
}

/// JSON as one line without any control character: JSON itself allows those from U+007F to U+009F,
/// which control a terminal, in its strings.
pub(crate) fn json_line(json: &Json) -> String {
    let text = json.to_string();
    if !text.contains(is_controlling) {
        return text;
    }
    let escape = |character: char| match is_controlling(character) {
        // All of them are below U+10000.
        true => format!("\\u{:04x}", u32::from(character)),
        false => character.to_string(),
    };
    text.chars().map(escape).collect()
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

/// The columns that a text takes on the screen, without colour codes: two for most characters of
/// Chinese, Japanese and Korean and for emoji.
pub(crate) fn display_width(text: &str) -> usize {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default();
    let after_code = |part: &str| part.split_once('m').map_or(0, |(_, shown)| shown.width());
    first.width() + parts.map(after_code).sum::<usize>()
}

/// A text without colours that takes at most `width` columns: its middle is left out if it is longer,
/// since names of topics differ at both ends.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let Some(left) = width.checked_sub(1) else { return String::new() };
    let ends = || text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let fits = |part: &str, width: usize| part.width() <= width;
    let end = |at: usize| text.get(at..).unwrap_or_default();
    let tail = ends().find(|at| fits(end(*at), left - left / 2)).map_or("", end);
    let start = |at: usize| text.get(..at).unwrap_or_default();
    let head = ends().take_while(|at| fits(start(*at), left / 2)).last().map_or("", start);
    format!("{head}…{tail}")
}

/// A text of exactly `width` columns, with spaces after it.
pub(crate) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(display_width(text))))
}

/// The beginning of a text without colours that takes at most `width` columns.
pub(crate) fn cut(text: &str, width: usize) -> &str {
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let parts = ends.filter_map(|end| text.get(..end));
    parts.take_while(|part| part.width() <= width).last().unwrap_or_default()
}

/// A text sent by a peer with the characters escaped that could control the terminal.
pub(crate) fn escaped(text: &str) -> String {
    let escape = |character: char| match is_controlling(character) {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Whether a character is a control character, ends a line, or changes the direction of the text
/// around it.
fn is_controlling(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// A number of bytes as text, in B, kB, MB or GB.
pub(crate) fn byte_count(count: f64) -> String {
    match count {
        _ if count < 1e3 => format!("{count:.0} B"),
        _ if count < 1e6 => format!("{:.2} kB", count / 1e3),
        _ if count < 1e9 => format!("{:.2} MB", count / 1e6),
        _ => format!("{:.2} GB", count / 1e9),
    }
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

    #[test]
    fn the_width_of_a_text_is_that_on_the_screen() {
        for (text, width) in [
            ("abc", 3),
            ("日本語", 6),
            ("🚀", 2),
            ("👩‍🚀", 2),
            ("e\u{301}", 1),
            ("\x1b[36mkey\x1b[0m: 語", 7),
        ] {
            assert_eq!(display_width(text), width, "{text}");
        }
        let rows = [["日本".to_owned(), "x".to_owned()], ["abcd".to_owned(), "y".to_owned()]];
        assert_eq!(columns(&rows), ["日本  x", "abcd  y"]);
    }

    #[test]
    fn a_name_is_shortened_in_its_middle() {
        assert_eq!(shortened("/robot/arm/left/joint_states", 11), "/robo…tates");
        assert_eq!(shortened("/short", 6), "/short");
        assert_eq!(shortened("/カメラ/画像", 8), "/カ…画像");
        for text in ["/robot/arm/left/joint_states", "/カメラ/前方/画像", "/🚀🚀🚀🚀/👩‍🚀👩‍🚀"]
        {
            for width in 0..30 {
                assert!(display_width(&shortened(text, width)) <= width, "{text} {width}");
                assert!(display_width(cut(text, width)) <= width, "{text} {width}");
                let padded = padded(&shortened(text, width), width);
                assert_eq!(display_width(&padded), width, "{text} {width}");
            }
        }
    }

    #[test]
    fn text_of_a_peer_does_not_control_the_terminal() {
        assert_eq!(escaped("a\x1b[2J\u{9b}\u{202e}b日"), "a\\u{1b}[2J\\u{9b}\\u{202e}b日");
        let json = serde_json::json!({ "a\u{9b}": "\x07\x7f\u{2028}日" });
        let line = json_line(&json);
        assert_eq!(line, "{\"a\\u009b\":\"\\u0007\\u007f\\u2028日\"}");
        assert_eq!(serde_json::from_str::<Json>(&line).unwrap(), json);
    }
}
