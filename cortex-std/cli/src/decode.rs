//! `cortex decode`: frames to JSON.

use clap::Args;
use cortex_cli::notation::unhex;

use crate::failure::Result;
use crate::line::Input;
use crate::message::{AnyMessage, Form};
use crate::plain::Arrays;

/// Read messages as hex frames, one a line, and write them as JSON.
///
/// A line holds the frames of one message without its topic: header, metadata and buffers, as hex
/// with one space between them; an empty buffer is an empty string, so a line may end in a space.
/// `cortex topic echo --raw` writes such lines. A line of one frame is a message in a single blob.
///
/// Each becomes one JSON object: message (the bare name of the class, or null), class,
/// fingerprint, timestamp_ns and sequence as decimal text, and fields, a list of name and value.
/// The fields of a class that is not known are numbered.
///
/// What is wrong with a line is told on stderr with its number, and the next one is read; the exit
/// code is 1 then.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cortex topic echo --raw -n 100 /pose > pose.hex\n  \
    cortex decode pose.hex\n  \
    cortex decode --typed pose.hex | cortex encode --typed | diff - pose.hex")]
pub(crate) struct Decode {
    /// Write values in the notation that loses nothing: {"int": "7"}, {"float": BITS}, ..
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
            let message = AnyMessage::read(&frames).map_err(|error| error.to_string())?;
            Ok(message.to_json(None, form).to_string())
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
