//! The typed notation of values in JSON, which says everything that the wire says.
//!
//! A value is an object of one entry, its kind: `{"nil": null}`, `{"bool": true}`,
//! `{"int": "-3"}`, `{"float": "3fe0000000000000"}` (the bits, big-endian), `{"str": "text"}`,
//! `{"bytes": "00ff"}`, `{"list": [..]}`, `{"map": [[key, value], ..]}`,
//! `{"array": {"dtype", "shape", "data"}}`, or `{"tensor": ..}` with `device` and
//! `requires_grad` as well.
//!
//! The golden vectors in `tests/golden` are written in it.

use cortex_std::wire::{Dtype, Int, OwnedArray, OwnedKey, OwnedTensor, OwnedValue};
use serde_json::{Map, Value as Json, json};

/// What is wrong with a notation, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}{}{problem}", if .at.is_empty() { "" } else { ": " })]
pub struct NotationError {
    at: String,
    problem: String,
}

impl NotationError {
    /// What is wrong with the value as a whole.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { at: String::new(), problem: problem.into() }
    }

    /// The same, for a value that stands at `place` of a larger one.
    #[must_use]
    pub fn inside(mut self, place: &str) -> Self {
        let dot = if self.at.is_empty() || self.at.starts_with('[') { "" } else { "." };
        self.at = format!("{place}{dot}{}", self.at);
        self
    }
}

type Result<T, E = NotationError> = std::result::Result<T, E>;

/// The value that a notation stands for.
///
/// # Errors
///
/// What is wrong, and where.
///
/// # Examples
///
/// ```
/// use cortex_cli::notation;
/// use serde_json::json;
///
/// let value = notation::parse(&json!({ "list": [{ "int": "1" }, { "nil": null }] }))?;
/// assert_eq!(notation::notate(&value)["list"][0], json!({ "int": "1" }));
/// let error = notation::parse(&json!({ "list": [{ "int": 1 }] })).unwrap_err();
/// assert_eq!(error.to_string(), "list[0].int: 1 is no text");
/// # Ok::<(), notation::NotationError>(())
/// ```
pub fn parse(notation: &Json) -> Result<OwnedValue> {
    let Some(object) = notation.as_object() else {
        return Err(NotationError::new(format!("{} is no typed value", short(notation))));
    };
    let kinds: Vec<_> = object.iter().filter(|(kind, _)| *kind != "repr").collect();
    let [(kind, content)] = kinds[..] else {
        return Err(NotationError::new("a typed value has one entry, its kind"));
    };
    content_of(kind, content).map_err(|error| error.inside(kind))
}

fn content_of(kind: &str, content: &Json) -> Result<OwnedValue> {
    Ok(match kind {
        "nil" if content.is_null() => OwnedValue::Nil,
        "nil" => return Err(NotationError::new("the content of nil is null")),
        "bool" => OwnedValue::Bool(flag(content)?),
        "int" => OwnedValue::Int(int(text(content)?)?),
        "float" => OwnedValue::Float(float(text(content)?)?),
        "str" => OwnedValue::Str(text(content)?.to_owned()),
        "bytes" => OwnedValue::Bytes(unhex(text(content)?)?),
        "list" => OwnedValue::List(each(content, |_, item| parse(item))?),
        "map" => OwnedValue::Map(each(content, |_, pair| match list(pair)?.as_slice() {
            [key, value] => Ok((map_key(key)?, parse(value)?)),
            _ => Err(NotationError::new("a pair has a key and a value")),
        })?),
        "array" => OwnedValue::Array(array(content)?),
        "tensor" => OwnedValue::Tensor(OwnedTensor {
            array: array(content)?,
            device: entry(content, "device", text)?.to_owned(),
            requires_grad: entry(content, "requires_grad", flag)?,
        }),
        _ => return Err(NotationError::new("no kind of value is called so")),
    })
}

/// The notation of a value.
#[must_use]
pub fn notate(value: &OwnedValue) -> Json {
    match value {
        OwnedValue::Nil => json!({ "nil": null }),
        OwnedValue::Bool(value) => json!({ "bool": value }),
        OwnedValue::Int(value) => json!({ "int": value.to_string() }),
        OwnedValue::Float(value) => json!({ "float": format!("{:016x}", value.to_bits()) }),
        OwnedValue::Str(value) => json!({ "str": value }),
        OwnedValue::Bytes(value) => json!({ "bytes": hex(value) }),
        OwnedValue::List(items) => one("list", items.iter().map(notate).collect()),
        OwnedValue::Map(pairs) => {
            let pair = |(key, value): &(OwnedKey, OwnedValue)| {
                let key = match key {
                    OwnedKey::Str(key) => json!({ "str": key }),
                    OwnedKey::Bytes(key) => json!({ "bytes": hex(key) }),
                };
                Json::Array(vec![key, notate(value)])
            };
            one("map", pairs.iter().map(pair).collect())
        }
        OwnedValue::Array(array) => one("array", notate_array(array)),
        OwnedValue::Tensor(tensor) => {
            let mut content = notate_array(&tensor.array);
            content["device"] = json!(tensor.device);
            content["requires_grad"] = json!(tensor.requires_grad);
            one("tensor", content)
        }
    }
}

/// The hex digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0xf)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// The bytes that hex digits of either case stand for.
///
/// # Errors
///
/// Where there is another character, or an odd number of digits.
pub fn unhex(digits: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut high = None;
    for (at, character) in digits.chars().enumerate() {
        let Some(digit) = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()) else {
            let problem = format!("character {} is {character:?}, no hex digit", at + 1);
            return Err(NotationError::new(problem));
        };
        match high.take() {
            None => high = Some(digit << 4),
            Some(high) => bytes.push(high | digit),
        }
    }
    match high {
        None => Ok(bytes),
        Some(_) => Err(NotationError::new("an odd number of hex digits")),
    }
}

/// A decimal integer of the wire's range.
///
/// # Errors
///
/// For any other text.
pub fn int(digits: &str) -> Result<Int> {
    let unsigned = digits.parse::<u64>().map(Int::from);
    unsigned
        .or_else(|_| digits.parse::<i64>().map(Int::from))
        .map_err(|_| NotationError::new(format!("{digits:?} is no integer from -2^63 to 2^64 - 1")))
}

fn float(digits: &str) -> Result<f64> {
    let bytes = unhex(digits)?;
    let bytes = <[u8; 8]>::try_from(bytes.as_slice())
        .map_err(|_| NotationError::new("a float has 16 hex digits"))?;
    Ok(f64::from_be_bytes(bytes))
}

fn map_key(notation: &Json) -> Result<OwnedKey> {
    match parse(notation)? {
        OwnedValue::Str(key) => Ok(OwnedKey::Str(key)),
        OwnedValue::Bytes(key) => Ok(OwnedKey::Bytes(key)),
        _ => Err(NotationError::new("a map key is text or bytes")),
    }
}

fn array(content: &Json) -> Result<OwnedArray> {
    let dtype: Dtype = entry(content, "dtype", |json| {
        text(json)?.parse().map_err(|error| NotationError::new(format!("{json}: {error}")))
    })?;
    let shape = entry(content, "shape", shape)?;
    let data = entry(content, "data", |json| unhex(text(json)?))?;
    OwnedArray::new(dtype, &shape, data).map_err(|error| NotationError::new(error.to_string()))
}

/// The dimensions in a JSON list.
///
/// # Errors
///
/// Where it is something else.
pub fn shape(json: &Json) -> Result<Vec<usize>> {
    each(json, |_, dimension| {
        let number = dimension.as_u64().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| NotationError::new(format!("{} is no dimension", short(dimension))))
    })
}

fn notate_array(array: &OwnedArray) -> Json {
    let view = array.view();
    json!({
        "dtype": view.dtype().as_text().as_str(),
        "shape": view.shape(),
        "data": hex(view.data()),
    })
}

fn one(kind: &str, content: Json) -> Json {
    // `json!` would copy the content.
    Json::Object(Map::from_iter([(kind.to_owned(), content)]))
}

fn entry<'a, T>(
    object: &'a Json,
    name: &str,
    read: impl FnOnce(&'a Json) -> Result<T>,
) -> Result<T> {
    let content =
        object.get(name).ok_or_else(|| NotationError::new(format!("{name:?} is missing")))?;
    read(content).map_err(|error| error.inside(name))
}

fn each<T>(json: &Json, mut read: impl FnMut(usize, &Json) -> Result<T>) -> Result<Vec<T>> {
    let items = list(json)?.iter().enumerate();
    items
        .map(|(at, item)| read(at, item).map_err(|error| error.inside(&format!("[{at}]"))))
        .collect()
}

fn flag(json: &Json) -> Result<bool> {
    json.as_bool().ok_or_else(|| NotationError::new(format!("{} is no boolean", short(json))))
}

fn text(json: &Json) -> Result<&str> {
    json.as_str().ok_or_else(|| NotationError::new(format!("{} is no text", short(json))))
}

fn list(json: &Json) -> Result<&Vec<Json>> {
    json.as_array().ok_or_else(|| NotationError::new(format!("{} is no list", short(json))))
}

/// The beginning of a JSON text, for messages.
fn short(json: &Json) -> String {
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
    fn errors_tell_the_place() {
        for (notation, told) in [
            (json!(1), "1 is no typed value"),
            (json!({}), "a typed value has one entry, its kind"),
            (json!({ "complex": "1" }), "complex: no kind of value is called so"),
            (json!({ "nil": 1 }), "nil: the content of nil is null"),
            (json!({ "int": "1.5" }), "int: \"1.5\" is no integer from -2^63 to 2^64 - 1"),
            (
                json!({ "int": "18446744073709551616" }),
                "int: \"18446744073709551616\" is no integer from -2^63 to 2^64 - 1",
            ),
            (json!({ "float": "00" }), "float: a float has 16 hex digits"),
            (json!({ "bytes": "0" }), "bytes: an odd number of hex digits"),
            (json!({ "bytes": "0g" }), "bytes: character 2 is 'g', no hex digit"),
            (
                json!({ "map": [[{ "int": "1" }, { "nil": null }]] }),
                "map[0]: a map key is text or bytes",
            ),
            (json!({ "map": [[{ "str": "a" }]] }), "map[0]: a pair has a key and a value"),
            (json!({ "array": { "shape": [] } }), "array: \"dtype\" is missing"),
            (
                json!({ "array": { "dtype": "<f4", "shape": [-1], "data": "" } }),
                "array.shape[0]: -1 is no dimension",
            ),
            (
                json!({ "array": { "dtype": "<f4", "shape": [1], "data": "" } }),
                "array: shape gives 4 bytes, data has 0",
            ),
        ] {
            assert_eq!(parse(&notation).unwrap_err().to_string(), told);
        }
    }

    #[test]
    fn what_people_read_of_a_float_is_ignored() {
        let value = parse(&json!({ "float": "3ff8000000000000", "repr": "1.5" }));
        assert_eq!(value, Ok(OwnedValue::Float(1.5)));
    }
}
