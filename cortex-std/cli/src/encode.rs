//! `cortex encode`: JSON to frames.

use clap::Args;
use cortex_cli::notation::{self, NotationError};
use cortex_std::wire::{Header, OwnedValue, Type, TypeInfo, fingerprint};
use serde_json::Value as Json;

use crate::failure::{Result, with_sources};
use crate::line::{self, Input};
use crate::message::{frames_line, with_frames};
use crate::plain;
use crate::types;

/// Read messages as JSON, one a line, and write them as hex frames.
///
/// The opposite of `cortex decode`: the objects that it writes are read, and the lines that it
/// reads are written. Bytes come back as they were with --typed; plain JSON does not tell an int
/// in a float field from a float.
///
/// Of an object's entries only fields is needed, and fingerprint, class or message to tell the
/// type; timestamp_ns and sequence are 0 unless given.
///
/// What is wrong with a line is told on stderr with its number, and the next one is read; the exit
/// code is 1 then.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    echo '{\"message\": \"StringMessage\", \"fields\": [{\"name\": \"data\", \"value\": \"hi\"}]}' | cortex encode\n  \
    cortex decode --typed pose.hex | cortex encode --typed | diff - pose.hex")]
pub(crate) struct Encode {
    /// Read values in the notation that loses nothing: {"int": "7"}, {"float": BITS}, ..
    #[arg(long)]
    typed: bool,
    #[command(flatten)]
    input: Input,
}

impl Encode {
    pub(crate) fn run(&self) -> Result {
        self.input.convert("encode", |line| {
            let object = line::json(line).map_err(|error| error.to_string())?;
            let (header, fields) = read(&object, self.typed).map_err(|error| error.to_string())?;
            let header = header.encode();
            let line = with_frames(&fields, |metadata, buffers| {
                frames_line([&header[..], metadata].into_iter().chain(buffers.iter().copied()))
            });
            line.map_err(|error| with_sources(&error))
        })
    }
}

fn read(object: &Json, is_typed: bool) -> Result<(Header, Vec<OwnedValue>), NotationError> {
    if !object.is_object() {
        return Err(NotationError::new("not a JSON object"));
    }
    let info = match (object["class"].as_str(), object["message"].as_str()) {
        (Some(class), _) => types::by_class(class),
        (None, Some(name)) => types::by_name(name),
        _ => None,
    };
    let fingerprint = fingerprint_of(object, info)?;
    let header = Header {
        fingerprint,
        timestamp_ns: number(object, "timestamp_ns")?,
        sequence: number(object, "sequence")?,
    };
    let fields =
        object["fields"].as_array().ok_or_else(|| NotationError::new("\"fields\" is no list"))?;
    let field = |(at, field): (usize, &Json)| {
        let value = match (field.get("value"), is_typed) {
            (Some(value), true) => notation::parse(value),
            (Some(value), false) => {
                let field = info.and_then(|info| info.fields.get(at));
                match field {
                    Some(field) if field.optional && value.is_null() => Ok(OwnedValue::Nil),
                    field => plain::from_json(value, field.map_or(Type::Any, |field| field.ty)),
                }
            }
            (None, _) => Err(NotationError::new("\"value\" is missing")),
        };
        let name = field["name"].as_str().map_or_else(|| at.to_string(), str::to_owned);
        value.map_err(|error| error.inside(&name))
    };
    let fields = fields.iter().enumerate().map(field).collect::<Result<_, _>>()?;
    Ok((header, fields))
}

/// What `fingerprint` says, or else the class.
fn fingerprint_of(object: &Json, info: Option<&TypeInfo>) -> Result<u64, NotationError> {
    match (&object["fingerprint"], object["class"].as_str(), info) {
        (Json::String(text), ..) => text
            .strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .ok_or_else(|| {
                NotationError::new(format!("{text:?} is no \"0x\" and 16 hex digits"))
                    .inside("fingerprint")
            }),
        (Json::Null, _, Some(info)) => Ok(info.fingerprint),
        (Json::Null, Some(class), None) => Ok(fingerprint::wire(class)),
        (Json::Null, None, None) => Err(match object["message"].as_str() {
            Some(name) => NotationError::new(format!("no standard message is called {name}")),
            None => NotationError::new("\"fingerprint\", \"class\" or \"message\" is needed"),
        }),
        (other, ..) => Err(NotationError::new(format!("{other} is no text")).inside("fingerprint")),
    }
}

/// A number, as decimal text or as it is; 0 unless given.
fn number(object: &Json, name: &str) -> Result<u64, NotationError> {
    let number = match &object[name] {
        Json::Null => Some(0),
        Json::String(digits) => digits.parse().ok(),
        other => other.as_u64(),
    };
    number.ok_or_else(|| NotationError::new("a decimal number of 64 bits is needed").inside(name))
}
