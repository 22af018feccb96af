//! The notation in which the golden files write values (`WIRE.md`, section "golden/").

use cortex_wire::{Header, Int, OwnedArray, OwnedKey, OwnedTensor, OwnedValue};
use serde_json::{Value as Json, json};

use crate::golden::{hex, unhex};

/// The value that a notation stands for.
///
/// # Panics
/// If it is not in the notation.
#[must_use]
#[track_caller]
pub fn parse(notation: &Json) -> OwnedValue {
    let object = notation.as_object().expect("a value is an object");
    let (kind, content) = object.iter().next().expect("a value has a kind");
    match kind.as_str() {
        "nil" => OwnedValue::Nil,
        "bool" => OwnedValue::Bool(content.as_bool().expect("a boolean")),
        "int" => OwnedValue::Int(int(text(content))),
        "float" => OwnedValue::Float(f64::from_bits(
            u64::from_str_radix(text(content), 16).expect("a float in hex"),
        )),
        "str" => OwnedValue::Str(text(content).into()),
        "bytes" => OwnedValue::Bytes(unhex(text(content))),
        "list" => OwnedValue::List(list(content).iter().map(parse).collect()),
        "map" => OwnedValue::Map(
            list(content)
                .iter()
                .map(|pair| match parse(&pair[0]) {
                    OwnedValue::Str(key) => (OwnedKey::Str(key), parse(&pair[1])),
                    OwnedValue::Bytes(key) => (OwnedKey::Bytes(key), parse(&pair[1])),
                    key => panic!("a map key is text or bytes, not {key:?}"),
                })
                .collect(),
        ),
        "array" => OwnedValue::Array(array(content)),
        "tensor" => OwnedValue::Tensor(OwnedTensor {
            array: array(content),
            device: text(&content["device"]).into(),
            requires_grad: content["requires_grad"].as_bool().expect("a boolean"),
        }),
        other => panic!("unknown kind of value {other:?}"),
    }
}

/// The notation of a value, without the `repr` of floats.
#[must_use]
pub fn notate(value: &OwnedValue) -> Json {
    match value {
        OwnedValue::Nil => json!({ "nil": null }),
        OwnedValue::Bool(value) => json!({ "bool": value }),
        OwnedValue::Int(value) => json!({ "int": value.to_string() }),
        OwnedValue::Float(value) => json!({ "float": format!("{:016x}", value.to_bits()) }),
        OwnedValue::Str(value) => json!({ "str": value }),
        OwnedValue::Bytes(value) => json!({ "bytes": hex(value) }),
        OwnedValue::List(items) => {
            json!({ "list": items.iter().map(notate).collect::<Vec<_>>() })
        }
        OwnedValue::Map(pairs) => {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(key, value)| {
                    let key = match key {
                        OwnedKey::Str(key) => json!({ "str": key }),
                        OwnedKey::Bytes(key) => json!({ "bytes": hex(key) }),
                    };
                    json!([key, notate(value)])
                })
                .collect();
            json!({ "map": pairs })
        }
        OwnedValue::Array(array) => json!({ "array": notate_array(array) }),
        OwnedValue::Tensor(tensor) => {
            let mut content = notate_array(&tensor.array);
            content["device"] = json!(tensor.device);
            content["requires_grad"] = json!(tensor.requires_grad);
            json!({ "tensor": content })
        }
    }
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

fn notate_array(array: &OwnedArray) -> Json {
    let view = array.view();
    json!({
        "dtype": view.dtype().as_text().as_str(),
        "shape": view.shape(),
        "data": hex(view.data()),
    })
}

fn array(content: &Json) -> OwnedArray {
    let shape: Vec<usize> = list(&content["shape"])
        .iter()
        .map(|dim| dim.as_u64().and_then(|dim| dim.try_into().ok()).expect("a dimension"))
        .collect();
    let dtype = text(&content["dtype"]).parse().expect("a dtype");
    OwnedArray::new(dtype, &shape, unhex(text(&content["data"]))).expect("an array")
}

fn int(digits: &str) -> Int {
    match digits.parse::<u64>() {
        Ok(value) => value.into(),
        Err(_) => digits.parse::<i64>().expect("an integer").into(),
    }
}

fn text(json: &Json) -> &str {
    json.as_str().expect("a string")
}

fn list(json: &Json) -> &Vec<Json> {
    json.as_array().expect("a list")
}
