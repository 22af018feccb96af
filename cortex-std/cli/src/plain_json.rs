//! Plain JSON: a notation of values that is easy to read and write, but not lossless.
//!
//! Numbers, text, lists and maps are those of JSON; bytes are `{"bytes": hex}`; an array is
//! `{"dtype", "shape", "data"}` with the data in nested lists or hex, a tensor has `device` and
//! `requires_grad` as well. Floats without a JSON number are `"NaN"`, `"Infinity"`, `"-Infinity"`.

use cortex_cli::typed_json::{ValueError, hex, shape, short, unhex};
use cortex_std::wire::{
    ArrayView, Dtype, Int, Key, OwnedArray, OwnedKey, OwnedTensor, OwnedValue, Type, Value,
};
use serde_json::{Map, Value as Json, json};

use crate::file;
use crate::items::{self, Summary, float_json, items, json_float};

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
        Value::Float(value) => float_json(value),
        Value::Str(value) => json!(value),
        Value::Bytes(value) => json!({ "bytes": hex(value) }),
        Value::List(list) => list.iter().map(|item| to_json(item, arrays)).collect(),
        Value::Map(map) => {
            let entry =
                |(key, value): (Key<'_>, Value<'_>)| (key_text(key), to_json(value, arrays));
            Json::Object(map.iter().map(entry).collect())
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
                object.insert("min".to_owned(), float_json(summary.min));
                object.insert("max".to_owned(), float_json(summary.max));
                object.insert("mean".to_owned(), float_json(summary.mean));
                if summary.nans > 0 {
                    object.insert("nan".to_owned(), json!(summary.nans));
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

/// Reads the value of a field of type `ty` from plain JSON.
///
/// # Errors
/// If the JSON is not a value of that type, or a file that it names cannot be read.
pub(crate) fn from_json(json: &Json, ty: Type) -> Result<OwnedValue, ValueError> {
    let found = match (ty, json) {
        (_, Json::String(text)) if let Some(path) = file::path(text) => {
            return file::read(path)?.into_value().map_err(|error| error.inside(text));
        }
        (Type::Float, _) => json_float(json).map(OwnedValue::Float),
        (Type::Array, Json::Array(_) | Json::Number(_)) => {
            // As numpy does for a list of floats.
            let dtype = Dtype::of::<f64>();
            return array_of(dtype, None, json).map(OwnedValue::Array);
        }
        (Type::Bytes, Json::Array(items)) => items
            .iter()
            .map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok()))
            .collect::<Option<Vec<_>>>()
            .map(OwnedValue::Bytes),
        _ => Some(untyped(json)?),
    };
    let has_type = |value: &OwnedValue| ty == Type::Any || type_of(value) == ty;
    found
        .filter(has_type)
        .ok_or_else(|| ValueError::new(format!("{} is not of type {ty}{}", short(json), hint(ty))))
}

fn hint(ty: Type) -> &'static str {
    match ty {
        Type::Bytes => ": give {\"bytes\": HEX} or a list of numbers",
        Type::Array => {
            ": give {\"dtype\", \"shape\", \"data\"}, nested lists of numbers, or @file.npy"
        }
        Type::Tensor => ": give {\"dtype\", \"shape\", \"data\", \"device\", \"requires_grad\"}",
        _ => "",
    }
}

fn type_of(value: &OwnedValue) -> Type {
    match value {
        OwnedValue::Nil => Type::Nil,
        OwnedValue::Bool(_) => Type::Bool,
        OwnedValue::Int(_) => Type::Int,
        OwnedValue::Float(_) => Type::Float,
        OwnedValue::Str(_) => Type::Str,
        OwnedValue::Bytes(_) => Type::Bytes,
        OwnedValue::List(_) => Type::List,
        OwnedValue::Map(_) => Type::Map,
        OwnedValue::Array(_) => Type::Array,
        OwnedValue::Tensor(_) => Type::Tensor,
    }
}

/// The value of JSON whose type is not given.
fn untyped(json: &Json) -> Result<OwnedValue, ValueError> {
    Ok(match json {
        Json::Null => OwnedValue::Nil,
        Json::Bool(value) => OwnedValue::Bool(*value),
        Json::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(value), ..) => OwnedValue::Int(Int::from(value)),
            (_, Some(value), _) => OwnedValue::Int(Int::from(value)),
            (.., Some(value)) => OwnedValue::Float(value),
            _ => return Err(ValueError::new(format!("{number} does not fit into 64 bits"))),
        },
        Json::String(text) => OwnedValue::Str(text.clone()),
        Json::Array(items) => {
            let item = |(at, item): (usize, &Json)| {
                from_json(item, Type::Any).map_err(|error| error.inside(&format!("[{at}]")))
            };
            OwnedValue::List(items.iter().enumerate().map(item).collect::<Result<_, _>>()?)
        }
        Json::Object(object) => {
            match (object.get("dtype"), object.get("data"), object.get("bytes")) {
                (Some(dtype), Some(data), _) => array_or_tensor(object, dtype, data)?,
                (None, None, Some(Json::String(digits))) if object.len() == 1 => {
                    OwnedValue::Bytes(unhex(digits).map_err(|error| error.inside("bytes"))?)
                }
                _ => {
                    let entry = |(key, value): (&String, &Json)| {
                        let value =
                            from_json(value, Type::Any).map_err(|error| error.inside(key))?;
                        Ok((OwnedKey::Str(key.clone()), value))
                    };
                    OwnedValue::Map(object.iter().map(entry).collect::<Result<_, ValueError>>()?)
                }
            }
        }
    })
}

fn array_or_tensor(
    object: &Map<String, Json>,
    dtype: &Json,
    data: &Json,
) -> Result<OwnedValue, ValueError> {
    let dtype = dtype.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
        ValueError::new(format!("{dtype} is not a dtype such as \"<f4\" or \"|u1\""))
            .inside("dtype")
    })?;
    let shape = object.get("shape").map(shape).transpose().map_err(|e| e.inside("shape"))?;
    let array = array_of(dtype, shape, data)?;
    let device = object.get("device").and_then(Json::as_str);
    let requires_grad = object.get("requires_grad").and_then(Json::as_bool);
    Ok(match (device, requires_grad) {
        (None, None) => OwnedValue::Array(array),
        (device, requires_grad) => OwnedValue::Tensor(OwnedTensor {
            array,
            device: device.unwrap_or("cpu").to_owned(),
            requires_grad: requires_grad.unwrap_or_default(),
        }),
    })
}

/// An array from hex digits or nested lists; if no shape is given, that of the data.
fn array_of(
    dtype: Dtype,
    shape: Option<Vec<usize>>,
    data: &Json,
) -> Result<OwnedArray, ValueError> {
    let invalid = |error: &dyn std::fmt::Display| ValueError::new(error.to_string());
    if let Json::String(digits) = data {
        let bytes = unhex(digits).map_err(|error| error.inside("data"))?;
        let shape = shape.unwrap_or_else(|| vec![bytes.len() / dtype.item_len()]);
        return OwnedArray::new(dtype, &shape, bytes).map_err(|error| invalid(&error));
    }
    let mut bytes = Vec::new();
    let found = lists_shape(data, dtype);
    write_lists(data, &found, dtype, &mut bytes).map_err(|error| error.inside("data"))?;
    OwnedArray::new(dtype, shape.as_deref().unwrap_or(&found), bytes)
        .map_err(|error| invalid(&error))
}

/// The shape of nested lists. An innermost list of a complex dtype is an item.
fn lists_shape(data: &Json, dtype: Dtype) -> Vec<usize> {
    let mut shape = Vec::new();
    let mut inner = Some(data);
    while let Some(Json::Array(items)) = inner {
        shape.push(items.len());
        inner = items.first();
    }
    if dtype.kind() == cortex_std::wire::DtypeKind::Complex {
        shape.pop();
    }
    shape
}

fn write_lists(
    data: &Json,
    shape: &[usize],
    dtype: Dtype,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let Some((count, inner)) = shape.split_first() else {
        return items::write(dtype, data, out);
    };
    match data {
        Json::Array(items) if items.len() == *count => {
            items.iter().enumerate().try_for_each(|(at, item)| {
                write_lists(item, inner, dtype, out).map_err(|e| e.inside(&format!("[{at}]")))
            })
        }
        _ => Err(ValueError::new(format!("expected a list of {count} items, like the first one"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_values_are_read_by_type() {
        let read = |json: Json, ty| from_json(&json, ty).map_err(|error| error.to_string());
        assert_eq!(read(json!(3), Type::Float), Ok(OwnedValue::Float(3.0)));
        assert_eq!(read(json!(3), Type::Any), Ok(OwnedValue::Int(3.into())));
        assert_eq!(read(json!([1, 255]), Type::Bytes), Ok(OwnedValue::Bytes(vec![1, 255])));
        assert_eq!(
            read(json!({ "bytes": "0aff" }), Type::Any),
            Ok(OwnedValue::Bytes(vec![10, 255]))
        );
        let array = OwnedArray::from_slice(&[1.0, 2.0, 3.0, 4.5], &[2, 2]).unwrap();
        assert_eq!(read(json!([[1, 2], [3, 4.5]]), Type::Array), Ok(OwnedValue::Array(array)));
        let array = OwnedArray::from_slice(&[1_i16, -2], &[2]).unwrap();
        for data in [json!([1, -2]), json!("0100feff")] {
            let json = json!({ "dtype": "<i2", "shape": [2], "data": data });
            assert_eq!(read(json, Type::Array), Ok(OwnedValue::Array(array.clone())));
        }
        for (json, ty, expected) in [
            (json!("3"), Type::Int, "\"3\" is not of type int"),
            (json!(1.5), Type::Int, "1.5 is not of type int"),
            (
                json!("x"),
                Type::Bytes,
                "\"x\" is not of type bytes: give {\"bytes\": HEX} or a list of numbers",
            ),
            (
                json!([[1], [2, 3]]),
                Type::Array,
                "data[1]: expected a list of 1 items, like the first one",
            ),
            (
                json!({ "dtype": "f4", "data": [] }),
                Type::Any,
                "dtype: \"f4\" is not a dtype such as \"<f4\" or \"|u1\"",
            ),
            (
                json!({ "dtype": "|u1", "shape": [2], "data": [1] }),
                Type::Any,
                "shape and dtype need 2 bytes, data has 1",
            ),
            (
                json!({ "a": { "dtype": "|u1", "data": [1, 999] } }),
                Type::Map,
                "a.data[1]: 999 is not an item of dtype |u1",
            ),
        ] {
            assert_eq!(read(json, ty), Err(expected.to_owned()));
        }
    }

    #[test]
    fn arrays_of_any_shape_survive_nested_lists() {
        for shape in [&[][..], &[0], &[3], &[2, 3], &[1, 2, 0], &[2, 1, 3], &[0, 2]] {
            let data: Vec<u8> = (0..shape.iter().product::<usize>() as u8).collect();
            let array = OwnedArray::from_slice(&data, shape).unwrap();
            let json = to_json(Value::Array(array.view()), Arrays::Full);
            assert_eq!(from_json(&json, Type::Array), Ok(OwnedValue::Array(array)), "{json}");
        }
    }
}
