//! `cortex bag repair`.

use std::fs::OpenOptions;
use std::path::PathBuf;

use clap::Args;
use cortex_bag::{Writer, WriterOptions, repair};
use cortex_std::ErrorChain;
use serde_json::json;

use super::arguments::{Compress, counted, open, with_suffix};
use crate::failure::{Failure, Outcome, Result};
use crate::output::{byte_count, escaped, print, print_json};
use crate::session::Session;

/// Complete a recording that was cut off, and leave out damaged parts.
///
/// Every message of a whole chunk is copied into another file, which is complete; the damaged one stays as
/// it is. A chunk holds up to a second of messages, so this is what a recorder that was killed can lose.
/// Chunks after a damaged one are copied as well.
///
/// Exit code 1 if the file has no message that can be read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cortex bag repair drive.mcap\n  \
    cortex bag repair drive.mcap -o drive_whole.mcap --compress lz4")]
pub(crate) struct Repair {
    /// The damaged file.
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// File to create [default: FILE with _repaired behind its name].
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Compression of the new file.
    #[arg(long, value_enum, default_value_t = Compress::None)]
    compress: Compress,
}

impl Repair {
    pub(crate) fn run(&self, session: &Session) -> Result {
        let reader = open(&self.path)?;
        let len = reader.len();
        let output = self.output.clone().unwrap_or_else(|| with_suffix(&self.path, "_repaired"));
        let failed = |error: &dyn std::error::Error| Failure::with_context(output.display(), error);
        let file = OpenOptions::new().write(true).create_new(true).open(&output);
        let file = file.map_err(|error| failed(&error))?;
        let options = WriterOptions::default().compression(self.compress.into());
        let writer = Writer::new(file, &options).map_err(|error| failed(&error))?;
        let repaired = repair(reader, writer).map_err(|error| failed(&error))?;
        let is_useless = repaired.damage.is_empty() || repaired.messages == 0;
        if is_useless {
            std::fs::remove_file(&output).map_err(|error| failed(&error))?;
        }
        let damage: Vec<_> =
            repaired.damage.iter().map(|error| ErrorChain(error).to_string()).collect();
        if session.json {
            print_json(&json!({
                "path": self.path.display().to_string(),
                "repaired": (!is_useless).then(|| output.display().to_string()),
                "messages": repaired.messages,
                "foreign": repaired.foreign,
                "bytes": len,
                "damage": damage,
            }))?;
            return Ok(Outcome::found_if(repaired.messages > 0));
        }
        let path = escaped(&self.path.display().to_string());
        for reason in &damage {
            print(&format!("{path}: {}", escaped(reason)))?;
        }
        if repaired.damage.is_empty() {
            print(&format!("{path} is complete: nothing to repair"))?;
        } else if is_useless {
            print(&format!("{path} has no message that can be read"))?;
        } else {
            let (messages, size) = (counted(repaired.messages, "message"), byte_count(len as f64));
            let output = escaped(&output.display().to_string());
            print(&format!("{output}: {messages} of {size}"))?;
        }
        if repaired.foreign > 0 {
            let foreign = counted(repaired.foreign, "message");
            print(&format!("{foreign} of other encodings left out"))?;
        }
        Ok(Outcome::found_if(repaired.messages > 0))
    }
}
