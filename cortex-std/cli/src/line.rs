//! Input line by line: each is worked on alone, and what is wrong with one ends no other.

use std::io::BufRead;

use clap::Args;
use cortex_cli::notation::NotationError;
use serde_json::Value as Json;

use crate::failure::{Failure, Outcome, Result};
use crate::output::{note, say};

/// Deepest nesting of JSON: that of the deepest message in the typed notation, where each of its
/// 128 levels takes three, and some for the object around.
const MAX_DEPTH: usize = 3 * 128 + 16;

#[derive(Debug, Args)]
pub(crate) struct Input {
    /// A file to read instead of stdin.
    #[arg(value_name = "FILE")]
    file: Option<std::path::PathBuf>,
}

impl Input {
    /// Writes what `convert` makes of each line; says on stderr what is wrong with a line, and
    /// goes on.
    pub(crate) fn convert(
        &self,
        verb: &str,
        convert: impl Fn(&str) -> Result<String, String>,
    ) -> Result {
        let lines: Box<dyn BufRead> = match &self.file {
            None => Box::new(std::io::stdin().lock()),
            Some(path) => match std::fs::File::open(path) {
                Ok(file) => Box::new(std::io::BufReader::new(file)),
                Err(error) => return Err(Failure::doing(path.display(), &error)),
            },
        };
        let mut outcome = Outcome::Found;
        for (number, line) in lines.split(b'\n').enumerate() {
            let line = line?;
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            let converted =
                std::str::from_utf8(line).map_err(|error| error.to_string()).and_then(&convert);
            match converted {
                Ok(text) => say(&text)?,
                Err(error) => {
                    note(&format!("cortex {verb}: line {}: {error}", number + 1));
                    outcome = Outcome::Missed;
                }
            }
        }
        Ok(outcome)
    }
}

/// Reads JSON as deep as messages can be, and no deeper.
///
/// # Errors
/// Where it is no JSON, or too deep.
pub(crate) fn json(text: &str) -> Result<Json, NotationError> {
    if depth(text) > MAX_DEPTH {
        let problem = format!("lists and objects deeper than {MAX_DEPTH}");
        return Err(NotationError::new(problem));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    let value = serde::Deserialize::deserialize(&mut reader);
    value
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| NotationError::new(format!("not JSON: {error}")))
}

/// How deep brackets are nested, those in strings left out.
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
    fn json_is_read_as_deep_as_messages_are_and_no_deeper() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(json(&nested(MAX_DEPTH)).is_ok());
        let error = json(&nested(1_000_000)).unwrap_err();
        assert_eq!(error.to_string(), "lists and objects deeper than 400");
        assert_eq!(depth(r#"{"a": "[[[[\"[[[", "b": [{}]}"#), 3);
        assert!(json("{} {}").is_err());
    }
}
