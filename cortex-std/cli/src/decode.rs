//! `cortex decode`: hex frames to JSON.

use clap::Args;
use cortex_cli::typed_json::unhex;

use crate::failure::Result;
use crate::input::Input;
use crate::message::{AnyMessage, Form};
use crate::output::json_line;
use crate::plain_json::Arrays;

/// Convert messages from hex frames to JSON, one message per line.
///
/// An input line holds the frames of one message without its topic: header, metadata and buffers,
/// as hex with one space between them; an empty buffer is an empty string, so a line may end in a
/// space. `cortex topic echo --raw` writes such lines. A line of one frame is a single-blob message.
///
/// An output line is one JSON object: message (the name of the class without its module, or null),
/// class, fingerprint, timestamp_ns and sequence as decimal text, and fields, a list of name and
/// value. The fields of an unknown class are numbered.
///
/// An invalid line is reported on stderr with its number and skipped; the exit code is then 1.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cortex topic echo --raw -n 100 /pose > pose.hex\n  \
    cortex decode pose.hex\n  \
    cortex decode --typed pose.hex | cortex encode --typed | diff - pose.hex")]
pub(crate) struct Decode {
    /// Write values as typed JSON, which is lossless: {"int": "7"}, {"float": BITS}, ..
    #[arg(long)]
    typed: bool,
    #[command(flatten)]
    input: Input,
}

impl Decode {
    pub(crate) fn run(&self) -> Result {
        let form = if self.typed { Form::Typed } else { Form::Plain(Arrays::Full) };
        self.input.convert("decode", |line| {
            let frames = frames(line)?;
            let message = AnyMessage::decode(&frames).map_err(|error| error.to_string())?;
            Ok(json_line(&message.to_json(None, form)))
        })
    }
}

fn frames(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let frame = |(at, digits)| {
        let name = match at {
            0 => "header".to_owned(),
            1 => "metadata".to_owned(),
            _ => format!("buffer {}", at - 2),
        };
        unhex(digits).map_err(|error| error.inside(&name).to_string())
    };
    line.split(' ').enumerate().map(frame).collect()
}
