//! The objects that are written in place of a value that JSON lacks.

use cortex_cli::typed_json::unhex;
use cortex_std::wire::OwnedKey;
use serde_json::{Map, Value as Json};

use crate::items::json_float;

/// Whether an entry is `"float": "NaN"` or another float that JSON has no number for.
pub(super) fn is_special_float(key: &str, json: &Json) -> bool {
    key == "float" && json.is_string() && json_float(json).is_some()
}

/// Whether an object is written as an array, a tensor, bytes, a float or a list of pairs.
pub(crate) fn is_notation(object: &Map<String, Json>) -> bool {
    let is_single = |(key, json): (&String, &Json)| {
        object.len() == 1 && (key == "bytes" && json.is_string() || is_special_float(key, json))
    };
    (object.contains_key("dtype") && object.contains_key("data"))
        || object.iter().any(is_single)
        || pairs(object).is_some()
}

/// The pairs of a map that is written as a list; `None` if the JSON is anything else.
pub(super) fn pairs(object: &Map<String, Json>) -> Option<Vec<(OwnedKey, &Json)>> {
    let key = |key: &Json| match key {
        Json::String(key) => Some(OwnedKey::Str(key.clone())),
        key => {
            let bytes = key.as_object().filter(|key| key.len() == 1)?.get("bytes")?;
            unhex(bytes.as_str()?).ok().map(OwnedKey::Bytes)
        }
    };
    match object.get("map") {
        Some(Json::Array(list)) if object.len() == 1 => {
            let pairs = list.iter().map(|pair| match pair.as_array()?.as_slice() {
                [first, value] => Some((key(first)?, value)),
                _ => None,
            });
            pairs.collect()
        }
        _ => None,
    }
}
