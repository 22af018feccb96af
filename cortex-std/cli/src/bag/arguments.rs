//! Arguments that the verbs share: topics, compression, files.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use cortex_bag::{Compression, Reader};
use regex_lite::Regex;

use crate::failure::{Failure, Result};

/// Topics chosen by regular expressions.
#[derive(Debug, Args)]
pub(super) struct Patterns {
    /// Topics that match a regular expression, anywhere in their name.
    #[arg(short = 'e', long, value_name = "REGEX", value_parser = pattern)]
    pub(super) regex: Option<Regex>,
    /// Without the topics that match a regular expression.
    #[arg(short = 'x', long, value_name = "REGEX", value_parser = pattern)]
    exclude: Option<Regex>,
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
}

impl Patterns {
    /// Whether a topic is chosen, by name or by an expression; all are without either.
    pub(super) fn choose(&self, names: &[String], topic: &str) -> bool {
        let is_named = names.iter().any(|name| name == topic);
        let is_matched = self.regex.as_ref().is_some_and(|regex| regex.is_match(topic));
        let are_all = names.is_empty() && self.regex.is_none();
        let is_excluded = self.exclude.as_ref().is_some_and(|regex| regex.is_match(topic));
        (is_named || is_matched || are_all) && !is_excluded
    }
}

/// The compression of a bag.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Compress {
    /// None.
    None,
    /// Fast.
    Lz4,
    /// Small; needs a build with the feature zstd.
    Zstd,
}

impl From<Compress> for Compression {
    fn from(compress: Compress) -> Self {
        match compress {
            Compress::None => Self::None,
            Compress::Lz4 => Self::Lz4,
            Compress::Zstd => Self::Zstd,
        }
    }
}

/// The path with a suffix behind the stem of its file name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(suffix);
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Opens a bag.
pub(super) fn open(path: &Path) -> Result<Reader<BufReader<File>>> {
    Reader::open(path).map_err(|error| Failure::with_context(path.display(), &error))
}

/// A number of things, such as `1 topic` and `2 topics`.
pub(super) fn counted(count: impl TryInto<u64>, thing: &str) -> String {
    match count.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {thing}"),
        count => format!("{count} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_chosen_by_name_and_expression() {
        let patterns = |regex: &str, exclude: &str| Patterns {
            regex: (!regex.is_empty()).then(|| pattern(regex).unwrap()),
            exclude: (!exclude.is_empty()).then(|| pattern(exclude).unwrap()),
        };
        let named = ["/imu".to_owned()];
        assert!(patterns("", "").choose(&[], "/cam"));
        assert!(!patterns("", "").choose(&named, "/cam"));
        assert!(patterns("^/cam", "").choose(&named, "/cam/left"));
        assert!(!patterns("^/cam", "left").choose(&named, "/cam/left"));
        assert!(patterns("^/cam", "left").choose(&named, "/imu"));
    }

    #[test]
    fn a_suffix_stands_before_the_extension() {
        assert_eq!(with_suffix(Path::new("a/b.c.mcap"), "_1"), Path::new("a/b.c_1.mcap"));
        assert_eq!(with_suffix(Path::new("bag"), "_1"), Path::new("bag_1"));
    }
}
