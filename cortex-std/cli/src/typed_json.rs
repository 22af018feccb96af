//! Typed JSON: a lossless notation of values, which keeps every bit and every type.
//!
//! A value is an object with one entry, whose key is the kind: `{"nil": null}`, `{"bool": true}`,
//! `{"int": "-3"}`, `{"float": "3fe0000000000000"}` (the bits, big-endian), `{"str": "text"}`,
//! `{"bytes": "00ff"}`, `{"list": [..]}`, `{"map": [[key, value], ..]}`,
//! `{"array": {"dtype", "shape", "data"}}` (the data in hex), or `{"tensor": ..}` with `device` and
//! `requires_grad` as well.
//!
//! The golden vectors in `tests/golden` use this notation.

use cortex_std::wire::{Dtype, Int, OwnedArray, OwnedKey, OwnedTensor, OwnedValue};
use serde_json::{Map, Value as Json, json};

/// An invalid value in JSON: the reason, and the path to the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}{}{reason}", if .path.is_empty() { "" } else { ": " })]
pub struct ValueError {
    path: String,
    reason: String,
}

impl ValueError {
    /// An error of the value as a whole.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { path: String::new(), reason: reason.into() }
    }

    /// The same error of a value that is the entry `key` of a larger value: a name, or `[index]`.
    #[must_use]
    pub fn inside(mut self, key: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{dot}{}", self.path);
        self
    }
}

type Result<T, E = ValueError> = std::result::Result<T, E>;

/// Reads a value from typed JSON.
///
/// # Errors
///
/// If the JSON is not typed JSON.
///
/// # Examples
///
/// ```
/// use cortex_cli::typed_json;
/// use serde_json::json;
///
/// let value = typed_json::from_json(&json!({ "list": [{ "int": "1" }, { "nil": null }] }))?;
/// assert_eq!(typed_json::to_json(&value)["list"][0], json!({ "int": "1" }));
/// let error = typed_json::from_json(&json!({ "list": [{ "int": 1 }] })).unwrap_err();
/// assert_eq!(error.to_string(), "list[0].int: 1 is not text");
/// # Ok::<(), typed_json::ValueError>(())
/// ```
pub fn from_json(json: &Json) -> Result<OwnedValue> {
    let Some(object) = json.as_object() else {
        return Err(ValueError::new(format!("{} is not a typed value", short(json))));
    };
    let kinds: Vec<_> = object.iter().filter(|(kind, _)| *kind != "repr").collect();
    let [(kind, content)] = kinds[..] else {
        return Err(ValueError::new("a typed value must have one entry, its kind"));
    };
    read_content(kind, content).map_err(|error| error.inside(kind))
}

fn read_content(kind: &str, content: &Json) -> Result<OwnedValue> {
    Ok(match kind {
        "nil" if content.is_null() => OwnedValue::Nil,
        "nil" => return Err(ValueError::new("the content of nil must be null")),
        "bool" => OwnedValue::Bool(flag(content)?),
        "int" => OwnedValue::Int(int(text(content)?)?),
        "float" => OwnedValue::Float(float(text(content)?)?),
        "str" => OwnedValue::Str(text(content)?.to_owned()),
        "bytes" => OwnedValue::Bytes(unhex(text(content)?)?),
        "list" => OwnedValue::List(each(content, from_json)?),
        "map" => OwnedValue::Map(each(content, |pair| match list(pair)?.as_slice() {
            [key, value] => Ok((map_key(key)?, from_json(value)?)),
            _ => Err(ValueError::new("a pair must have a key and a value")),
        })?),
        "array" => OwnedValue::Array(array(content, &ARRAY)?),
        "tensor" => OwnedValue::Tensor(OwnedTensor {
            array: array(content, &TENSOR)?,
            device: entry(content, "device", text)?.to_owned(),
            requires_grad: entry(content, "requires_grad", flag)?,
        }),
        _ => return Err(ValueError::new("unknown kind of value")),
    })
}

/// Writes a value as typed JSON.
#[must_use]
pub fn to_json(value: &OwnedValue) -> Json {
    match value {
        OwnedValue::Nil => json!({ "nil": null }),
        OwnedValue::Bool(value) => json!({ "bool": value }),
        OwnedValue::Int(value) => json!({ "int": value.to_string() }),
        OwnedValue::Float(value) => json!({ "float": format!("{:016x}", value.to_bits()) }),
        OwnedValue::Str(value) => json!({ "str": value }),
        OwnedValue::Bytes(value) => json!({ "bytes": hex(value) }),
        OwnedValue::List(items) => typed("list", items.iter().map(to_json).collect()),
        OwnedValue::Map(pairs) => {
            let pair = |(key, value): &(OwnedKey, OwnedValue)| {
                let key = match key {
                    OwnedKey::Str(key) => json!({ "str": key }),
                    OwnedKey::Bytes(key) => json!({ "bytes": hex(key) }),
                };
                Json::Array(vec![key, to_json(value)])
            };
            typed("map", pairs.iter().map(pair).collect())
        }
        OwnedValue::Array(array) => typed("array", array_to_json(array)),
        OwnedValue::Tensor(tensor) => {
            let mut content = array_to_json(&tensor.array);
            content["device"] = json!(tensor.device);
            content["requires_grad"] = json!(tensor.requires_grad);
            typed("tensor", content)
        }
    }
}

/// The lowercase hex digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0xf)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// The bytes of hex digits of either case.
///
/// # Errors
///
/// If a character is not a hex digit, or the number of digits is odd.
pub fn unhex(digits: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut high = None;
    for (at, character) in digits.chars().enumerate() {
        let Some(digit) = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()) else {
            let reason = format!("character {} is {character:?}, not a hex digit", at + 1);
            return Err(ValueError::new(reason));
        };
        match high.take() {
            None => high = Some(digit << 4),
            Some(high) => bytes.push(high | digit),
        }
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err(ValueError::new("the number of hex digits is odd")),
    }
}

/// A decimal integer in the range of the wire format, -2^63 to 2^64 - 1.
///
/// # Errors
///
/// If the text is not such an integer.
pub fn int(digits: &str) -> Result<Int> {
    let unsigned = digits.parse::<u64>().map(Int::from);
    unsigned.or_else(|_| digits.parse::<i64>().map(Int::from)).map_err(|_| {
        ValueError::new(format!("{digits:?} is not an integer from -2^63 to 2^64 - 1"))
    })
}

fn float(digits: &str) -> Result<f64> {
    let bytes = unhex(digits)?;
    let bytes = <[u8; 8]>::try_from(bytes.as_slice())
        .map_err(|_| ValueError::new("a float must have 16 hex digits"))?;
    Ok(f64::from_be_bytes(bytes))
}

fn map_key(json: &Json) -> Result<OwnedKey> {
    match from_json(json)? {
        OwnedValue::Str(key) => Ok(OwnedKey::Str(key)),
        OwnedValue::Bytes(key) => Ok(OwnedKey::Bytes(key)),
        _ => Err(ValueError::new("a map key must be text or bytes")),
    }
}

/// The entries of an array, and of a tensor.
const ARRAY: [&str; 3] = ["dtype", "shape", "data"];
const TENSOR: [&str; 5] = ["dtype", "shape", "data", "device", "requires_grad"];

fn array(content: &Json, entries: &[&str]) -> Result<OwnedArray> {
    let object = content
        .as_object()
        .ok_or_else(|| ValueError::new(format!("{} is not an object", short(content))))?;
    if let Some(key) = object.keys().find(|key| !entries.contains(&key.as_str())) {
        let entries = entries.join(", ");
        return Err(ValueError::new(format!("no entry {key:?}; the entries are {entries}")));
    }
    let dtype: Dtype = entry(content, "dtype", |json| {
        text(json)?.parse().map_err(|error| ValueError::new(format!("{json}: {error}")))
    })?;
    let shape = entry(content, "shape", shape)?;
    let data = entry(content, "data", |json| unhex(text(json)?))?;
    OwnedArray::new(dtype, &shape, data).map_err(|error| ValueError::new(error.to_string()))
}

/// The dimensions of an array, from a JSON list.
///
/// # Errors
///
/// If the JSON is not a list of sizes.
pub fn shape(json: &Json) -> Result<Vec<usize>> {
    each(json, |dimension| {
        let number = dimension.as_u64().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| ValueError::new(format!("{} is not a dimension", short(dimension))))
    })
}

fn array_to_json(array: &OwnedArray) -> Json {
    let view = array.view();
    json!({
        "dtype": view.dtype().as_text().as_str(),
        "shape": view.shape(),
        "data": hex(view.data()),
    })
}

fn typed(kind: &str, content: Json) -> Json {
    // `json!` would copy the content.
    Json::Object(Map::from_iter([(kind.to_owned(), content)]))
}

fn entry<'a, T>(
    object: &'a Json,
    name: &str,
    read: impl FnOnce(&'a Json) -> Result<T>,
) -> Result<T> {
    let content =
        object.get(name).ok_or_else(|| ValueError::new(format!("{name:?} is missing")))?;
    read(content).map_err(|error| error.inside(name))
}

fn each<T>(json: &Json, mut read: impl FnMut(&Json) -> Result<T>) -> Result<Vec<T>> {
    let items = list(json)?.iter().enumerate();
    items.map(|(at, item)| read(item).map_err(|error| error.inside(&format!("[{at}]")))).collect()
}

fn flag(json: &Json) -> Result<bool> {
    json.as_bool().ok_or_else(|| ValueError::new(format!("{} is not a boolean", short(json))))
}

fn text(json: &Json) -> Result<&str> {
    json.as_str().ok_or_else(|| ValueError::new(format!("{} is not text", short(json))))
}

fn list(json: &Json) -> Result<&Vec<Json>> {
    json.as_array().ok_or_else(|| ValueError::new(format!("{} is not a list", short(json))))
}

/// The first 40 characters of JSON, for error messages.
#[must_use]
pub fn short(json: &Json) -> String {
    let text = json.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_path_and_the_reason() {
        for (json, expected) in [
            (json!(1), "1 is not a typed value"),
            (json!({}), "a typed value must have one entry, its kind"),
            (json!({ "complex": "1" }), "complex: unknown kind of value"),
            (json!({ "nil": 1 }), "nil: the content of nil must be null"),
            (json!({ "int": "1.5" }), "int: \"1.5\" is not an integer from -2^63 to 2^64 - 1"),
            (
                json!({ "int": "18446744073709551616" }),
                "int: \"18446744073709551616\" is not an integer from -2^63 to 2^64 - 1",
            ),
            (json!({ "float": "00" }), "float: a float must have 16 hex digits"),
            (json!({ "bytes": "0" }), "bytes: the number of hex digits is odd"),
            (json!({ "bytes": "0g" }), "bytes: character 2 is 'g', not a hex digit"),
            (
                json!({ "map": [[{ "int": "1" }, { "nil": null }]] }),
                "map[0]: a map key must be text or bytes",
            ),
            (json!({ "map": [[{ "str": "a" }]] }), "map[0]: a pair must have a key and a value"),
            (json!({ "array": { "shape": [] } }), "array: \"dtype\" is missing"),
            (json!({ "array": 1 }), "array: 1 is not an object"),
            (
                json!({ "list": [{ "array": { "dtype": "<f4", "shape": [], "data": "", "device": "cpu" } }] }),
                "list[0].array: no entry \"device\"; the entries are dtype, shape, data",
            ),
            (
                json!({ "tensor": { "x": 1 } }),
                "tensor: no entry \"x\"; the entries are dtype, shape, data, device, requires_grad",
            ),
            (
                json!({ "array": { "dtype": "<f4", "shape": [-1], "data": "" } }),
                "array.shape[0]: -1 is not a dimension",
            ),
            (
                json!({ "array": { "dtype": "<f4", "shape": [1], "data": "" } }),
                "array: shape and dtype need 4 bytes, data has 0",
            ),
        ] {
            assert_eq!(from_json(&json).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn the_readable_form_of_a_float_is_ignored() {
        let value = from_json(&json!({ "float": "3ff8000000000000", "repr": "1.5" }));
        assert_eq!(value, Ok(OwnedValue::Float(1.5)));
    }
}
