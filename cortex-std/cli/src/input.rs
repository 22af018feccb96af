//! Input by lines, and JSON of bounded depth.

use std::io::BufRead;

use clap::Args;
use cortex_cli::typed_json::ValueError;
use serde_json::Value as Json;

use crate::failure::{Failure, Outcome, Result};
use crate::output::{print, print_stderr};

/// Maximum nesting of JSON: that of the deepest message as typed JSON, in which each of its 128
/// levels takes three, and some levels for the object around it.
const MAX_DEPTH: usize = 3 * 128 + 16;

/// Lines of a file or of stdin.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// File to read instead of stdin.
    #[arg(value_name = "FILE")]
    file: Option<std::path::PathBuf>,
}

impl Input {
    /// Converts each line and prints the result; reports an invalid line on stderr and continues.
    pub(crate) fn convert(
        &self,
        verb: &str,
        convert: impl Fn(&str) -> Result<String, String>,
    ) -> Result {
        let lines: Box<dyn BufRead> = match &self.file {
            None => Box::new(std::io::stdin().lock()),
            Some(path) => match std::fs::File::open(path) {
                Ok(file) => Box::new(std::io::BufReader::new(file)),
                Err(error) => return Err(Failure::with_context(path.display(), &error)),
            },
        };
        let mut outcome = Outcome::Found;
        for (number, line) in lines.split(b'\n').enumerate() {
            let line = line?;
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            let converted =
                std::str::from_utf8(line).map_err(|error| error.to_string()).and_then(&convert);
            match converted {
                Ok(text) => print(&text)?,
                Err(error) => {
                    print_stderr(&format!("cortex {verb}: line {}: {error}", number + 1));
                    outcome = Outcome::Missed;
                }
            }
        }
        Ok(outcome)
    }
}

/// Parses JSON that is nested no deeper than a message can be.
///
/// # Errors
/// If the text is not JSON, or nested too deep.
pub(crate) fn parse_json(text: &str) -> Result<Json, ValueError> {
    if depth(text) > MAX_DEPTH {
        let problem = format!("nested deeper than {MAX_DEPTH} lists and objects");
        return Err(ValueError::new(problem));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    let value = serde::Deserialize::deserialize(&mut reader);
    value
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| ValueError::new(format!("not JSON: {error}")))
}

/// The maximum nesting of brackets outside of strings.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut is_string, mut is_escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'[' | b'{' if !is_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !is_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_may_be_nested_as_deep_as_messages_but_no_deeper() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse_json(&nested(MAX_DEPTH)).is_ok());
        let error = parse_json(&nested(1_000_000)).unwrap_err();
        assert_eq!(error.to_string(), "nested deeper than 400 lists and objects");
        assert_eq!(depth(r#"{"a": "[[[[\"[[[", "b": [{}]}"#), 3);
        assert!(parse_json("{} {}").is_err());
    }
}
