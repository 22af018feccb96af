//! Messages as comma-separated values: a record with the names of the columns, then one for each
//! message.

use std::collections::{BTreeSet, HashMap};

use cortex_cli::typed_json::hex;
use cortex_std::wire::Value;
use serde_json::Value as Json;

use crate::field_path::{Named, map_key_step};
use crate::items::items;
use crate::output::escaped;
use crate::plain_json::{self, Arrays};

/// Most columns of a table.
const MAX_COLUMNS: usize = 100_000;
/// The columns before those of the fields.
const LEADING: [&str; 3] = ["timestamp_ns", "sequence", "node"];

/// A table whose columns are the values of its first message, each under its path: a value of a later
/// message stands under the same path, whatever other values that message has.
#[derive(Debug)]
pub(crate) struct Table {
    arrays: Arrays,
    /// Whether control characters are escaped, as a terminal needs it.
    is_terminal: bool,
    columns: Vec<String>,
    places: HashMap<String, usize>,
    /// Paths of later messages that have no column.
    omitted: BTreeSet<String>,
}

/// A value: its path and its text.
type Cell = (String, String);

impl Table {
    pub(crate) fn new(arrays: Arrays, is_terminal: bool) -> Self {
        let (columns, places) = (Vec::new(), HashMap::new());
        Self { arrays, is_terminal, columns, places, omitted: BTreeSet::new() }
    }

    /// Whether no message was added yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// Paths of values that the table leaves out, since its first message did not have them.
    pub(crate) fn omitted(&self) -> impl Iterator<Item = &str> {
        self.omitted.iter().map(String::as_str)
    }

    /// The lines of a message, of RFC 4180: those of the first message begin with the header. A message
    /// without fields has empty cells.
    ///
    /// # Errors
    /// If the first message has too many values.
    pub(crate) fn lines(
        &mut self,
        leading: [String; 3],
        fields: &[Named<'_>],
    ) -> Result<String, String> {
        let mut cells = Vec::new();
        for (name, value) in fields {
            self.push_cells(name.to_string(), *value, &mut cells);
        }
        let mut lines = String::new();
        if self.columns.is_empty() {
            if cells.len() > MAX_COLUMNS {
                return Err(format!(
                    "the message has {} values, and a table at most {MAX_COLUMNS} columns: use --no-arr, or \
                     --field with a part of an array such as data[0:100]",
                    cells.len()
                ));
            }
            for (path, _) in &cells {
                self.places.insert(path.clone(), self.columns.len());
                self.columns.push(path.clone());
            }
            let columns = self.columns.iter().map(String::as_str);
            let header: Vec<_> =
                LEADING.into_iter().chain(columns).map(|c| self.quoted(c)).collect();
            lines = header.join(",") + "\n";
        }
        let mut row = vec![String::new(); self.columns.len()];
        for (at, (path, text)) in cells.into_iter().enumerate() {
            // Usually a value has the place that it had in the first message.
            let place = match self.columns.get(at) {
                Some(column) if *column == path => Some(at),
                _ => self.places.get(&path).copied(),
            };
            match place.and_then(|place| row.get_mut(place)) {
                Some(cell) => *cell = text,
                None => {
                    self.omitted.insert(path);
                }
            }
        }
        let leading = leading.iter().map(|text| self.quoted(text));
        Ok(lines + &leading.chain(row).collect::<Vec<_>>().join(","))
    }

    /// The values of a field, each with its path.
    fn push_cells(&self, path: String, value: Value<'_>, cells: &mut Vec<Cell>) {
        match value {
            Value::Nil => cells.push((path, String::new())),
            // An empty text differs from no value.
            Value::Str("") => cells.push((path, "\"\"".to_owned())),
            Value::Str(text) => cells.push((path, self.quoted(text))),
            Value::Bytes(bytes) => cells.push((path, hex(bytes))),
            Value::List(list) if list.is_empty() => cells.push((path, String::new())),
            Value::List(list) => {
                for (at, item) in list.iter().enumerate() {
                    self.push_cells(format!("{path}[{at}]"), item, cells);
                }
            }
            Value::Map(map) if map.is_empty() => cells.push((path, String::new())),
            Value::Map(map) => {
                for (key, item) in map.iter() {
                    self.push_cells(format!("{path}{}", map_key_step(key)), item, cells);
                }
            }
            Value::Array(array) if self.arrays == Arrays::Shape => {
                let text = format!("{} {:?}", array.dtype().as_text(), array.shape());
                cells.push((path, self.quoted(&text)));
            }
            Value::Array(array) if array.data().is_empty() => cells.push((path, String::new())),
            Value::Array(array) => {
                let mut index = vec![0; array.shape().len()];
                for item in items(&array) {
                    let at: String = index.iter().map(|at| format!("[{at}]")).collect();
                    cells.push((format!("{path}{at}"), self.json_cell(&item.to_json())));
                    advance(&mut index, array.shape());
                }
            }
            Value::Tensor(tensor) => self.push_cells(path, Value::Array(tensor.array), cells),
            Value::Float(value) => {
                cells.push((path, self.json_cell(&crate::items::float_json(value))))
            }
            Value::Bool(_) | Value::Int(_) => {
                cells.push((path, self.json_cell(&plain_json::to_json(value, self.arrays))));
            }
        }
    }

    fn json_cell(&self, json: &Json) -> String {
        match json {
            Json::String(text) => self.quoted(text),
            // A complex number.
            Json::Array(_) => self.quoted(&json.to_string()),
            number => number.to_string(),
        }
    }

    fn quoted(&self, text: &str) -> String {
        let shown = if self.is_terminal { escaped(text) } else { text.to_owned() };
        match shown.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", shown.replace('"', "\"\"")),
            false => shown,
        }
    }
}

/// Advances an index to the next item in C order.
fn advance(index: &mut [usize], shape: &[usize]) {
    for (at, count) in index.iter_mut().zip(shape).rev() {
        *at += 1;
        if *at < *count {
            return;
        }
        *at = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::with_decoded;
    use cortex_std::wire::{ArrayView, OwnedKey, OwnedValue};
    use std::borrow::Cow;

    fn lines(table: &mut Table, fields: &[(&'static str, Value<'_>)]) -> String {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| (Cow::Borrowed(*name), *value)).collect();
        let leading = ["7", "1", "base"].map(str::to_owned);
        table.lines(leading, &fields).expect("few columns")
    }

    fn map(entries: &[(&str, f64)]) -> OwnedValue {
        let entry = |(key, value): &(&str, f64)| {
            (OwnedKey::Str((*key).to_owned()), OwnedValue::Float(*value))
        };
        OwnedValue::Map(entries.iter().map(entry).collect())
    }

    #[test]
    fn dictionaries_with_varying_keys_do_not_share_columns() {
        let mut table = Table::new(Arrays::Full, false);
        let (first, second) = (map(&[("a", 1.0), ("b.c", 2.0)]), map(&[("b.c", 3.0), ("d", 4.0)]));
        let mut of_map = |map| with_decoded(map, |value| lines(&mut table, &[("data", value)]));
        assert_eq!(
            of_map(&first),
            "timestamp_ns,sequence,node,data.a,\"data[\"\"b.c\"\"]\"\n7,1,base,1.0,2.0"
        );
        assert_eq!(of_map(&second), "7,1,base,,3.0");
        assert_eq!(table.omitted().collect::<Vec<_>>(), ["data.d"]);
        // A message without the field.
        assert_eq!(lines(&mut table, &[]), "7,1,base,,");
    }

    #[test]
    fn cells_are_exact_and_quoted() {
        let mut table = Table::new(Arrays::Full, false);
        let data = [1.5_f32, f32::NAN, f32::INFINITY, 0.1];
        let array = ArrayView::from_slice(&data, &[2, 2]).unwrap();
        let text = ArrayView::new("<U1".parse().unwrap(), &[1], &[34, 0, 0, 0]).unwrap();
        let found = lines(
            &mut table,
            &[
                ("x", Value::Array(array)),
                ("t", Value::Array(text)),
                ("nil", Value::Nil),
                ("empty", Value::Str("")),
                ("text", Value::Str("a,\"b\"\n")),
                ("nan", Value::Float(f64::NAN)),
                ("big", Value::Int(u64::MAX.into())),
            ],
        );
        assert_eq!(
            found,
            "timestamp_ns,sequence,node,x[0][0],x[0][1],x[1][0],x[1][1],t[0],nil,empty,text,nan,big\n\
             7,1,base,1.5,NaN,Infinity,0.1,\"\"\"\",,\"\",\"a,\"\"b\"\"\n\",NaN,18446744073709551615"
        );
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        let fields = [("text", Value::Str("\x1b[2J\x07"))];
        let shown = lines(&mut Table::new(Arrays::Full, true), &fields);
        assert!(shown.ends_with("\n7,1,base,\\u{1b}[2J\\u{7}"), "{shown}");
        let piped = lines(&mut Table::new(Arrays::Full, false), &fields);
        assert!(piped.ends_with("\n7,1,base,\x1b[2J\x07"), "{piped}");
    }

    #[test]
    fn a_table_with_too_many_columns_is_refused_with_what_works() {
        let data = vec![0_u8; MAX_COLUMNS + 1];
        let array = Value::Array(ArrayView::from_slice(&data, &[data.len()]).unwrap());
        let fields = [(Cow::Borrowed("data"), array)];
        let leading = || ["7", "1", "base"].map(str::to_owned);
        let error = Table::new(Arrays::Full, false).lines(leading(), &fields).unwrap_err();
        assert!(error.contains("use --no-arr, or --field"), "{error}");
        assert!(Table::new(Arrays::Shape, false).lines(leading(), &fields).is_ok());
    }
}
