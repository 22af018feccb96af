//! Input by lines or as a whole, which is bounded, and names of topics.

use std::io::{self, BufRead, Read};

use clap::Args;

use crate::failure::{Failure, Outcome, Result};
use crate::output::{print, print_stderr};

/// Bytes of the longest line or file that is read as one value. Hex of a message of 1 GiB fits.
pub(crate) const MAX_INPUT_LEN: u64 = (2 << 30) + 4096;

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
        let failed = |error: &io::Error| match &self.file {
            Some(path) => Failure::with_context(path.display(), error),
            None => Failure::with_context("stdin", error),
        };
        let mut input: Box<dyn BufRead> = match &self.file {
            None => Box::new(std::io::stdin().lock()),
            Some(path) => match std::fs::File::open(path) {
                Ok(file) => Box::new(std::io::BufReader::new(file)),
                Err(error) => return Err(failed(&error)),
            },
        };
        let mut outcome = Outcome::Found;
        let mut bytes = Vec::new();
        for number in 0_u64.. {
            bytes.clear();
            read_line(&mut input, &mut bytes, MAX_INPUT_LEN).map_err(|error| {
                failed(&io::Error::new(error.kind(), format!("line {}: {error}", number + 1)))
            })?;
            if bytes.is_empty() {
                break;
            }
            let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
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

/// Appends a line with its end to `line`; nothing at the end of the input.
///
/// # Errors
/// If reading fails, memory is exhausted, or the line is longer than `limit`.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>, limit: u64) -> io::Result<()> {
    loop {
        let available = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            available => available?,
        };
        let end = available.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(available.len(), |end| end + 1);
        let (part, _) = available.split_at(count);
        if (line.len() + count) as u64 > limit {
            return Err(too_long(limit));
        }
        line.try_reserve(count).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        line.extend_from_slice(part);
        input.consume(count);
        if end.is_some() || count == 0 {
            return Ok(());
        }
    }
}

/// Reads all of an input.
///
/// # Errors
/// If reading fails, or the input is longer than [`MAX_INPUT_LEN`].
pub(crate) fn read_all(input: impl Read) -> io::Result<Vec<u8>> {
    read_at_most(input, MAX_INPUT_LEN)
}

fn read_at_most(input: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() as u64 >= limit { Err(too_long(limit)) } else { Ok(bytes) }
}

/// The same as text.
///
/// # Errors
/// As [`read_all`], and if it is not UTF-8.
pub(crate) fn read_text(input: impl Read) -> io::Result<String> {
    String::from_utf8(read_all(input)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()))
}

fn too_long(limit: u64) -> io::Error {
    let reason = format!("longer than {limit} bytes, the limit of one value");
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Parses the name of a topic.
pub(crate) fn topic_name(text: &str) -> Result<String, String> {
    match (1..=1024).contains(&text.len()) && !text.contains(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err("a name has 1 to 1024 bytes without control characters".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_without_an_end_is_refused_at_its_limit() {
        let mut line = Vec::new();
        let error = read_line(&mut io::BufReader::new(io::repeat(b'a')), &mut line, 5000);
        assert!(error.unwrap_err().to_string().starts_with("longer than 5000 bytes"));
        assert!(line.len() <= 5000);
        let error = read_at_most(io::repeat(b'a'), 5000).unwrap_err();
        assert!(error.to_string().starts_with("longer than 5000 bytes"), "{error}");
        assert_eq!(read_at_most(&b"abc"[..], 4).unwrap(), b"abc");
    }

    #[test]
    fn lines_end_with_their_newline_or_the_input() {
        let mut input = &b"one\n\ntwo"[..];
        let mut next = || {
            let mut line = Vec::new();
            read_line(&mut input, &mut line, 5).unwrap();
            line
        };
        assert_eq!([next(), next(), next(), next()], [&b"one\n"[..], b"\n", b"two", b""]);
    }
}
