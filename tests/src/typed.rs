//! The notation in which the golden files write values (`WIRE.md`, section "golden/").

use cortex_cli::typed_json;
use cortex_wire::{Header, OwnedValue};
use serde_json::Value as Json;

pub use cortex_cli::typed_json::to_json as notate;

/// The value that a notation stands for.
///
/// # Panics
/// If it is not in the notation.
#[must_use]
#[track_caller]
pub fn parse(notation: &Json) -> OwnedValue {
    typed_json::from_json(notation).unwrap_or_else(|error| panic!("{error}"))
}

/// The values of a golden message's fields, in order.
///
/// # Panics
/// If the case has no fields.
#[must_use]
#[track_caller]
pub fn fields(case: &Json) -> Vec<OwnedValue> {
    list(&case["fields"]).iter().map(|field| parse(&field["value"])).collect()
}

/// The header that a golden message was sent with.
///
/// # Panics
/// If the case has no time or number.
#[must_use]
#[track_caller]
pub fn header(case: &Json, fingerprint: u64) -> Header {
    let number = |key: &str| text(&case[key]).parse().expect("a number");
    Header { fingerprint, timestamp_ns: number("timestamp_ns"), sequence: number("sequence") }
}

fn text(json: &Json) -> &str {
    json.as_str().expect("a string")
}

fn list(json: &Json) -> &Vec<Json> {
    json.as_array().expect("a list")
}
