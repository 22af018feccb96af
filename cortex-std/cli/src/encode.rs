//! `cortex encode`: JSON to hex frames.

use clap::Args;
use cortex_cli::typed_json::{self, ValueError, hex};
use cortex_std::wire::{Header, OwnedValue, Type, TypeInfo, fingerprint};
use serde_json::{Map, Value as Json, json};

use cortex_std::ErrorChain;

use crate::failure::Result;
use crate::input::Input;
use crate::message::{fingerprint_text, frames_line, with_frames};
use crate::plain_json::{self, Files};
use crate::session::Session;
use crate::strict_json;
use crate::types;

/// The entries of a message, as `decode` and `echo --json` write them.
const KEYS: [&str; 7] =
    ["topic", "message", "class", "fingerprint", "timestamp_ns", "sequence", "fields"];

/// Convert messages from JSON to hex frames, one message per line.
///
/// The inverse of `cortex decode`. With --typed the frames are equal byte for byte; without it an
/// int in a float field becomes a float, since plain JSON does not distinguish the two.
///
/// An object needs fields, and fingerprint, class or message for its type; timestamp_ns and sequence
/// default to 0.
///
/// A message needs all fields of its class, in their order. With --json an output line is an object
/// with the list of frames.
///
/// An invalid line is reported on stderr with its number and skipped; the exit code is then 1.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    echo '{\"message\": \"StringMessage\", \"fields\": [{\"name\": \"data\", \"value\": \"hi\"}]}' | cortex encode\n  \
    cortex decode --typed pose.hex | cortex encode --typed | diff - pose.hex")]
pub(crate) struct Encode {
    /// Read values as typed JSON, which is lossless: {"int": "7"}, {"float": BITS}, ..
    #[arg(long)]
    typed: bool,
    #[command(flatten)]
    input: Input,
}

impl Encode {
    pub(crate) fn run(&self, session: &Session) -> Result {
        self.input.convert("encode", |line| {
            let object = strict_json::parse(line).map_err(|error| error.to_string())?;
            let (header, fields) = read(&object, self.typed).map_err(|error| error.to_string())?;
            let header = header.encode();
            let line = with_frames(&fields, |metadata, buffers| {
                let frames = [&header[..], metadata].into_iter().chain(buffers.iter().copied());
                match session.json {
                    true => json!({ "frames": frames.map(hex).collect::<Vec<_>>() }).to_string(),
                    false => frames_line(frames),
                }
            });
            line.map_err(|error| ErrorChain(&error).to_string())
        })
    }
}

fn read(object: &Json, is_typed: bool) -> Result<(Header, Vec<OwnedValue>), ValueError> {
    let Json::Object(entries) = object else {
        return Err(ValueError::new("not a JSON object"));
    };
    check_keys(entries, &KEYS)?;
    let info = match (object["class"].as_str(), object["message"].as_str()) {
        (Some(class), _) => types::by_class(class),
        (None, Some(name)) => types::by_name(name),
        _ => None,
    };
    if let (Some(class), Some(name)) = (object["class"].as_str(), object["message"].as_str())
        && types::bare_name(class) != name
    {
        let reason = format!("{name} is not the name of {class}: leave one of the two out");
        return Err(ValueError::new(reason).inside("message"));
    }
    let fingerprint = fingerprint_of(object, info)?;
    if let Some(info) = info
        && fingerprint != info.fingerprint
        && !info.accept.contains(&fingerprint)
    {
        let (class, expected) = (info.class, fingerprint_text(info.fingerprint));
        let reason = format!("is not {expected}, that of {class}: leave one of the two out");
        return Err(ValueError::new(reason).inside("fingerprint"));
    }
    let header = Header {
        fingerprint,
        timestamp_ns: number(object, "timestamp_ns")?,
        sequence: number(object, "sequence")?,
    };
    let fields =
        object["fields"].as_array().ok_or_else(|| ValueError::new("\"fields\" is not a list"))?;
    if let Some(info) = info {
        check_names(fields, info)?;
    }
    for (at, field) in fields.iter().enumerate() {
        let inside = |error: ValueError| error.inside(&format!("[{at}]")).inside("fields");
        let entries = field.as_object().ok_or_else(|| ValueError::new("not a JSON object"));
        check_keys(entries.map_err(inside)?, &["name", "value"]).map_err(inside)?;
    }
    let field = |(at, field): (usize, &Json)| {
        let value = match (field.get("value"), is_typed) {
            (Some(value), true) => typed_json::from_json(value),
            (Some(value), false) => {
                let field = info.and_then(|info| info.fields.get(at));
                match field {
                    Some(field) if field.optional && value.is_null() => Ok(OwnedValue::Nil),
                    field => plain_json::from_json(
                        value,
                        field.map_or(Type::Any, |field| field.ty),
                        // The messages may come from a peer.
                        Files::Never,
                    ),
                }
            }
            (None, _) => Err(ValueError::new("\"value\" is missing")),
        };
        let name = field["name"].as_str().map_or_else(|| at.to_string(), str::to_owned);
        value.map_err(|error| error.inside(&name))
    };
    let fields = fields.iter().enumerate().map(field).collect::<Result<_, _>>()?;
    Ok((header, fields))
}

/// Checks that an object has no other entries: a misspelled one would keep its default.
fn check_keys(object: &Map<String, Json>, known: &[&str]) -> Result<(), ValueError> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => {
            let known = known.join(", ");
            Err(ValueError::new(format!("unknown entry {key:?}; the entries are {known}")))
        }
        None => Ok(()),
    }
}

/// Checks that a message has the fields of its class, in their order.
fn check_names(fields: &[Json], info: &TypeInfo) -> Result<(), ValueError> {
    let expected: Vec<_> = info.fields.iter().map(|field| field.name).collect();
    // A field without a name is taken by its place.
    let names =
        fields.iter().zip(&expected).map(|(field, name)| field["name"].as_str().unwrap_or(name));
    if fields.len() == expected.len() && names.eq(expected.iter().copied()) {
        return Ok(());
    }
    let found: Vec<_> =
        fields.iter().map(|field| field["name"].as_str().unwrap_or("without a name")).collect();
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    let (name, expected) = (info.name(), expected.join(", "));
    let reason = format!("the fields of {name} are {expected}, in this order; found {found}");
    Err(ValueError::new(reason).inside("fields"))
}

/// The entry `fingerprint`, or else the fingerprint of the class.
fn fingerprint_of(object: &Json, info: Option<&TypeInfo>) -> Result<u64, ValueError> {
    match (&object["fingerprint"], object["class"].as_str(), info) {
        (Json::String(text), ..) => text
            .strip_prefix("0x")
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .ok_or_else(|| {
                ValueError::new(format!("{text:?} is not \"0x\" and up to 16 hex digits"))
                    .inside("fingerprint")
            }),
        (Json::Null, _, Some(info)) => Ok(info.fingerprint),
        (Json::Null, Some(class), None) => Ok(fingerprint::wire(class)),
        (Json::Null, None, None) => Err(match object["message"].as_str() {
            Some(name) => ValueError::new(format!("{name} is not a standard message")),
            None => ValueError::new("\"fingerprint\", \"class\" or \"message\" is missing"),
        }),
        (other, ..) => Err(ValueError::new(format!("{other} is not text")).inside("fingerprint")),
    }
}

/// The number in an entry, which is decimal text or a JSON number; 0 if the entry is missing.
fn number(object: &Json, name: &str) -> Result<u64, ValueError> {
    let number = match &object[name] {
        Json::Null => Some(0),
        Json::String(digits) => digits.parse().ok(),
        other => other.as_u64(),
    };
    number.ok_or_else(|| ValueError::new("not an unsigned 64-bit integer").inside(name))
}
