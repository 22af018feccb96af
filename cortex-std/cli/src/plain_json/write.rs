//! Writing plain JSON.

use cortex_cli::typed_json::hex;
use cortex_std::wire::{ArrayView, Key, Type, Value};
use serde_json::{Map, Value as Json, json};

use super::notation::is_notation;
use crate::items::{float_json, items};
use crate::summary::{Range, Summary};

/// Items of an array that a summary shows.
pub(crate) const FIRST_ITEMS: usize = 8;

/// The level of detail of arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrays {
    /// All items.
    Full,
    /// Dtype, shape, minimum, maximum, mean and the first items.
    Summary,
    /// Dtype and shape.
    Shape,
}

/// Writes the value of a field of type `ty` as plain JSON.
pub(crate) fn field_to_json(value: Value<'_>, ty: Type, arrays: Arrays) -> Json {
    match (value, ty) {
        (Value::Float(value), Type::Float) => float_json(value),
        _ => to_json(value, arrays),
    }
}

/// Writes a value as plain JSON.
pub(crate) fn to_json(value: Value<'_>, arrays: Arrays) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => json!(value),
            (_, Ok(value)) => json!(value),
            _ => json!(value.to_string()),
        },
        Value::Float(value) if value.is_finite() => json!(value),
        Value::Float(value) => json!({ "float": float_json(value) }),
        Value::Str(value) => json!(value),
        Value::Bytes(value) => json!({ "bytes": hex(value) }),
        Value::List(list) => list.iter().map(|item| to_json(item, arrays)).collect(),
        Value::Map(map) => {
            let entry =
                |(key, value): (Key<'_>, Value<'_>)| (key_text(key), to_json(value, arrays));
            let object: Map<String, Json> = map.iter().map(entry).collect();
            let is_text = map.iter().all(|(key, _)| matches!(key, Key::Str(_)));
            match is_text && object.len() == map.len() && !is_notation(&object) {
                true => Json::Object(object),
                false => {
                    let pairs = map.iter().map(|pair| pair_json(pair, arrays));
                    json!({ "map": pairs.collect::<Json>() })
                }
            }
        }
        Value::Array(array) => array_json(&array, arrays),
        Value::Tensor(tensor) => {
            let mut content = array_json(&tensor.array, arrays);
            content["device"] = json!(tensor.device);
            content["requires_grad"] = json!(tensor.requires_grad);
            content
        }
    }
}

/// A key and its value as a list, in which the key keeps its type.
fn pair_json((key, value): (Key<'_>, Value<'_>), arrays: Arrays) -> Json {
    let key = match key {
        Key::Str(key) => json!(key),
        Key::Bytes(key) => json!({ "bytes": hex(key) }),
    };
    json!([key, to_json(value, arrays)])
}

/// A map key as text; bytes are escaped.
pub(crate) fn key_text(key: Key<'_>) -> String {
    match key {
        Key::Str(key) => key.to_owned(),
        Key::Bytes(key) => format!("b\"{}\"", key.escape_ascii()),
    }
}

fn array_json(array: &ArrayView<'_>, arrays: Arrays) -> Json {
    let mut object = Map::new();
    object.insert("dtype".to_owned(), json!(array.dtype().as_text().as_str()));
    object.insert("shape".to_owned(), json!(array.shape()));
    match arrays {
        Arrays::Shape => {}
        Arrays::Full => {
            object.insert("data".to_owned(), nested(array));
        }
        Arrays::Summary => {
            if let Some(summary) = Summary::of(array) {
                if let Some(Range { min, max, mean }) = summary.range {
                    object.insert("min".to_owned(), min.to_json());
                    object.insert("max".to_owned(), max.to_json());
                    object.insert("mean".to_owned(), float_json(mean));
                }
                if summary.missing > 0 {
                    object.insert(summary.missing_name.to_owned(), json!(summary.missing));
                }
            }
            let first = items(array).take(FIRST_ITEMS).map(|item| item.to_json()).collect();
            object.insert("first".to_owned(), first);
        }
    }
    Json::Object(object)
}

/// The items as nested lists; of a scalar the item, of an empty array an empty list.
fn nested(array: &ArrayView<'_>) -> Json {
    if array.data().is_empty() {
        return json!([]);
    }
    let mut level: Vec<Json> = items(array).map(|item| item.to_json()).collect();
    let mut outer = array.shape().to_vec();
    while let Some(inner) = outer.pop() {
        let count = outer.iter().product();
        let mut rest = level.into_iter();
        level = (0..count).map(|_| rest.by_ref().take(inner).collect()).collect();
    }
    level.pop().unwrap_or(Json::Null)
}
