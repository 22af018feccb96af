//! Reading plain JSON.

use cortex_cli::typed_json::{ValueError, shape, short, unhex};
use cortex_std::wire::{
    Dtype, DtypeKind, Int, OwnedArray, OwnedKey, OwnedTensor, OwnedValue, Type,
};
use serde_json::{Map, Value as Json};

use super::notation::{is_special_float, pairs};
use crate::file::{self, Reference};
use crate::items::{self, json_float, json_integer};

/// Whether a text that begins with `@` names a file. JSON that other programs wrote, such as messages
/// of a peer, must not read files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// `@PATH` is the content of a file, and `@@TEXT` is the text `@TEXT`.
    Read,
    /// Every text is text.
    Never,
}

/// Reads the value of a field of type `ty` from plain JSON.
///
/// # Errors
/// If the JSON is not a value of that type, or a file that it names cannot be read.
pub(crate) fn from_json(json: &Json, ty: Type, files: Files) -> Result<OwnedValue, ValueError> {
    let found = match (ty, json) {
        (_, Json::String(text)) if files == Files::Read && text.starts_with('@') => {
            match file::reference(text) {
                Some(Reference::File(path)) => Some(as_type(file::read(path)?, ty)),
                _ => Some(OwnedValue::Str(text.chars().skip(1).collect())),
            }
        }
        (Type::Float, Json::Number(_)) => Some(OwnedValue::Float(exact_float(json)?)),
        (Type::Float, Json::String(_)) => json_float(json).map(OwnedValue::Float),
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
        // A user gives the entries; another program may have had to write a list of pairs.
        (Type::Map, Json::Object(object)) if files == Files::Read || pairs(object).is_none() => {
            Some(map(object, Type::Any, files)?)
        }
        _ => Some(as_type(untyped(json, files)?, ty)),
    };
    let has_type = |value: &OwnedValue| ty == Type::Any || type_of(value) == ty;
    found
        .filter(has_type)
        .ok_or_else(|| ValueError::new(format!("{} is not of type {ty}{}", short(json), hint(ty))))
}

/// An array as a tensor of the CPU, if the type is that of a tensor.
fn as_type(value: OwnedValue, ty: Type) -> OwnedValue {
    match (value, ty) {
        (OwnedValue::Array(array), Type::Tensor) => OwnedValue::Tensor(OwnedTensor {
            array,
            device: "cpu".to_owned(),
            requires_grad: false,
        }),
        (value, _) => value,
    }
}

/// The float of a JSON number: a decimal number is rounded to the nearest float, an integer must be
/// one exactly.
fn exact_float(json: &Json) -> Result<f64, ValueError> {
    let value = json_float(json).unwrap_or_default();
    match json_integer(json) {
        Some(integer) if value as i128 != integer => Err(ValueError::new(format!(
            "{integer} is not a 64-bit float, the nearest is {}: write {integer}.0 to round it",
            value as i128
        ))),
        _ => Ok(value),
    }
}

/// How to write a value of type `ty`, behind an error.
pub(crate) fn hint(ty: Type) -> &'static str {
    match ty {
        Type::Str => ": give text in double quotes",
        Type::Float => ": give a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
        Type::Bytes => ": give {\"bytes\": HEX} or a list of numbers",
        Type::List => ": give [..]",
        Type::Map => ": give {\"key\": value, ..}",
        Type::Array => {
            ": give {\"dtype\", \"shape\", \"data\"}, nested lists of numbers, or @file.npy"
        }
        Type::Tensor => {
            ": give {\"dtype\", \"shape\", \"data\", \"device\", \"requires_grad\"} or @file.npy"
        }
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
fn untyped(json: &Json, files: Files) -> Result<OwnedValue, ValueError> {
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
                from_json(item, Type::Any, files).map_err(|error| error.inside(&format!("[{at}]")))
            };
            OwnedValue::List(items.iter().enumerate().map(item).collect::<Result<_, _>>()?)
        }
        Json::Object(object) => match (object.get("dtype"), object.get("data")) {
            (Some(dtype), Some(data)) => array_or_tensor(object, dtype, data)?,
            _ => match object.iter().next() {
                Some((key, Json::String(text))) if object.len() == 1 && key == "bytes" => {
                    OwnedValue::Bytes(unhex(text).map_err(|error| error.inside("bytes"))?)
                }
                Some((key, float)) if object.len() == 1 && is_special_float(key, float) => {
                    OwnedValue::Float(json_float(float).unwrap_or(f64::NAN))
                }
                _ => match pairs(object) {
                    Some(pairs) => map_of_pairs(pairs, files)?,
                    None => map(object, Type::Any, files)?,
                },
            },
        },
    })
}

fn map_of_pairs(pairs: Vec<(OwnedKey, &Json)>, files: Files) -> Result<OwnedValue, ValueError> {
    let entry = |(key, value): (OwnedKey, &Json)| {
        let value = from_json(value, Type::Any, files).map_err(|error| error.inside("map"))?;
        Ok((key, value))
    };
    let entries = pairs.into_iter().map(entry);
    Ok(OwnedValue::Map(entries.collect::<Result<_, ValueError>>()?))
}

/// A map whose values are of type `ty`.
///
/// # Errors
/// If a value is of another type, or a file that it names cannot be read.
pub(crate) fn map(
    object: &Map<String, Json>,
    ty: Type,
    files: Files,
) -> Result<OwnedValue, ValueError> {
    let entry = |(key, value): (&String, &Json)| {
        let value = from_json(value, ty, files).map_err(|error| error.inside(key))?;
        Ok((OwnedKey::Str(key.clone()), value))
    };
    Ok(OwnedValue::Map(object.iter().map(entry).collect::<Result<_, ValueError>>()?))
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
    const KEYS: [&str; 5] = ["dtype", "shape", "data", "device", "requires_grad"];
    if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let reason = format!("an array has no entry {key:?}; its entries are {}", KEYS.join(", "));
        return Err(ValueError::new(reason));
    }
    let shape = object.get("shape").map(shape).transpose().map_err(|e| e.inside("shape"))?;
    let array = array_of(dtype, shape, data)?;
    let invalid = |key: &str, ty: &str| {
        ValueError::new(format!("{} is not {ty}", short(&object[key]))).inside(key)
    };
    let device = object.get("device");
    let device = device.map(|device| device.as_str().ok_or_else(|| invalid("device", "text")));
    let device = device.transpose()?;
    let requires_grad = object
        .get("requires_grad")
        .map(|flag| flag.as_bool().ok_or_else(|| invalid("requires_grad", "true or false")));
    let requires_grad = requires_grad.transpose()?;
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
    if dtype.kind() == DtypeKind::Complex {
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
    use crate::message::with_decoded;
    use crate::plain_json::{Arrays, field_to_json, to_json};
    use cortex_std::wire::Value;
    use serde_json::json;

    #[test]
    fn field_values_are_read_by_type() {
        let read =
            |json: Json, ty| from_json(&json, ty, Files::Read).map_err(|error| error.to_string());
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
            (json!(3), Type::Str, "3 is not of type str: give text in double quotes"),
            (
                json!(9_007_199_254_740_993_u64),
                Type::Float,
                "9007199254740993 is not a 64-bit float, the nearest is 9007199254740992: write \
                 9007199254740993.0 to round it",
            ),
            (
                json!({ "dtype": "|u1", "data": [1], "device": 3 }),
                Type::Any,
                "device: 3 is not text",
            ),
            (
                json!({ "dtype": "|u1", "data": [1], "shap": [1] }),
                Type::Any,
                "an array has no entry \"shap\"; its entries are dtype, shape, data, device, \
                 requires_grad",
            ),
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
            assert_eq!(
                from_json(&json, Type::Array, Files::Never),
                Ok(OwnedValue::Array(array)),
                "{json}"
            );
        }
    }

    #[test]
    fn nan_and_infinity_have_a_notation_everywhere() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let is_same = |read: OwnedValue| match read {
                OwnedValue::Float(read) => read.to_bits() == value.to_bits(),
                _ => false,
            };
            for (json, ty) in [
                (field_to_json(Value::Float(value), Type::Float, Arrays::Full), Type::Float),
                (to_json(Value::Float(value), Arrays::Full), Type::Any),
                (to_json(Value::Float(value), Arrays::Full), Type::Float),
            ] {
                let read = from_json(&json, ty, Files::Read).unwrap();
                assert!(is_same(read), "{json}");
            }
        }
        // The text alone is text where any type is possible.
        assert_eq!(
            from_json(&json!("NaN"), Type::Any, Files::Read),
            Ok(OwnedValue::Str("NaN".to_owned()))
        );
    }

    #[test]
    fn text_that_begins_with_an_at_sign_reads_a_file_only_where_files_are_expected() {
        let read = |text: &str, files| from_json(&json!([text]), Type::List, files);
        let list = |text: &str| Ok(OwnedValue::List(vec![OwnedValue::Str(text.to_owned())]));
        assert_eq!(read("@@alice", Files::Read), list("@alice"));
        assert_eq!(read("@@alice", Files::Never), list("@@alice"));
        assert_eq!(read("@/etc/hostname.npy", Files::Never), list("@/etc/hostname.npy"));
        let error = read("@alice", Files::Read).unwrap_err().to_string();
        assert!(error.starts_with("[0]: alice: ") && error.ends_with("write @@alice"), "{error}");
    }

    #[test]
    fn a_map_that_looks_like_another_value_stays_a_map() {
        let str = |text: &str| OwnedValue::Str(text.to_owned());
        let key = |text: &str| OwnedKey::Str(text.to_owned());
        let list = |items: &[OwnedValue]| OwnedValue::List(items.to_vec());
        for pairs in [
            vec![(key("bytes"), str("00ff"))],
            vec![(key("float"), str("NaN"))],
            vec![(key("dtype"), str("<f4")), (key("data"), list(&[]))],
            vec![(key("map"), list(&[list(&[str("a"), OwnedValue::Nil])]))],
            vec![(key("map"), list(&[]))],
            vec![(OwnedKey::Bytes(vec![0, 255]), OwnedValue::Nil)],
            vec![(key("a"), OwnedValue::Nil), (key("b"), str("@note.txt"))],
        ] {
            let inner = OwnedValue::Map(pairs);
            for (value, ty) in [(list(std::slice::from_ref(&inner)), Type::Any), (inner, Type::Map)]
            {
                let json = with_decoded(&value, |value| to_json(value, Arrays::Full));
                assert_eq!(from_json(&json, ty, Files::Never), Ok(value), "{json}");
            }
        }
    }

    #[test]
    fn a_map_field_takes_objects_of_any_keys() {
        let object = json!({ "dtype": "<f4", "data": [1] });
        let read = from_json(&object, Type::Map, Files::Read).unwrap();
        assert_eq!(read.get("dtype"), Some(&OwnedValue::Str("<f4".to_owned())));
        let tensor = from_json(&object, Type::Tensor, Files::Read).unwrap();
        assert!(matches!(tensor, OwnedValue::Tensor(tensor) if tensor.device == "cpu"));
    }
}
