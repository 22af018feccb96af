//! Values as comma-separated text.

use cortex_cli::typed_json::hex;
use cortex_std::wire::Value;
use serde_json::Value as Json;

use crate::items::items;
use crate::plain_json::{self, Arrays};

/// Values as one record of RFC 4180; the items of lists, maps and arrays are cells of their own.
pub(crate) fn record<'a>(values: impl IntoIterator<Item = Value<'a>>, arrays: Arrays) -> String {
    let mut cells = Vec::new();
    for value in values {
        push_cells(value, arrays, &mut cells);
    }
    cells.join(",")
}

fn push_cells(value: Value<'_>, arrays: Arrays, cells: &mut Vec<String>) {
    match value {
        Value::Nil => cells.push(String::new()),
        Value::Str(text) => cells.push(quoted(text)),
        Value::Bytes(bytes) => cells.push(hex(bytes)),
        Value::List(list) => list.iter().for_each(|item| push_cells(item, arrays, cells)),
        Value::Map(map) => map.iter().for_each(|(_, item)| push_cells(item, arrays, cells)),
        Value::Array(ref array) if arrays == Arrays::Shape => {
            cells.push(quoted(&format!("{} {:?}", array.dtype().as_text(), array.shape())));
        }
        Value::Array(array) => cells.extend(items(&array).map(|item| quoted(&item.to_string()))),
        Value::Tensor(tensor) => push_cells(Value::Array(tensor.array), arrays, cells),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            cells.push(match plain_json::to_json(value, arrays) {
                Json::String(text) => text,
                number => number.to_string(),
            });
        }
    }
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
