//! Input by lines, and names of topics.

use std::io::BufRead;

use clap::Args;

use crate::failure::{Failure, Outcome, Result};
use crate::output::{print, print_stderr};

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

/// Parses the name of a topic.
pub(crate) fn topic_name(text: &str) -> Result<String, String> {
    match (1..=1024).contains(&text.len()) && !text.contains(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err("a name has 1 to 1024 bytes without control characters".to_owned()),
    }
}
