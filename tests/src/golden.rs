//! The golden vectors: bytes made by the Python implementation (`WIRE.md`, section "golden/").

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The path of a golden file such as `messages.json`.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// A golden file such as `messages.json`, parsed.
///
/// # Panics
/// If there is no such file or it is not JSON.
#[must_use]
#[track_caller]
pub fn load(name: &str) -> Value {
    let path = path(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{} is not JSON: {error}", path.display()))
}

/// The cases of a golden file, in its order.
///
/// # Panics
/// If there is no such file or it has no cases.
#[must_use]
#[track_caller]
pub fn cases(name: &str) -> Vec<Value> {
    match load(name)["cases"].take() {
        Value::Array(cases) => cases,
        _ => panic!("golden/{name} has no list of cases"),
    }
}

/// The case of `messages.json` with this name.
///
/// # Panics
/// If there is none.
#[must_use]
#[track_caller]
pub fn message(name: &str) -> Value {
    cases("messages.json")
        .into_iter()
        .find(|case| case["name"] == name)
        .unwrap_or_else(|| panic!("golden/messages.json has no message named {name}"))
}

/// The frames of a case of `messages.json`: header, metadata and buffers.
///
/// # Panics
/// If the case has no frames.
#[must_use]
#[track_caller]
pub fn frames(case: &Value) -> Vec<Vec<u8>> {
    let frames = case["frames"].as_array().expect("the case has frames");
    frames
        .iter()
        .map(|frame| unhex(frame.as_str().expect("a frame is a string of hex digits")))
        .collect()
}

/// A typed value without the `repr` beside each float, which is for readers of the file only.
#[must_use]
pub fn without_repr(mut value: Value) -> Value {
    strip_repr(&mut value);
    value
}

fn strip_repr(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strip_repr),
        Value::Object(entries) => {
            if entries.contains_key("float") {
                entries.remove("repr");
            }
            entries.values_mut().for_each(strip_repr);
        }
        _ => {}
    }
}

/// The bytes that a string of hex digits denotes.
///
/// # Panics
/// If the text is not pairs of hex digits.
#[must_use]
#[track_caller]
pub fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match (byte as char).to_digit(16) {
        Some(digit) => digit as u8,
        None => panic!("not a hex digit: {:?}", byte as char),
    };
    assert!(text.len().is_multiple_of(2), "odd number of hex digits: {text}");
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// The hex digits of `bytes`, as golden files spell them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
