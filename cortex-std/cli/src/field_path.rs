//! Paths to values inside messages: `position[0]`, `scan[10:20]`, `data.gains.kp`, `data["a.b"]`.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use cortex_cli::typed_json::ValueError;
use cortex_std::wire::{ArrayView, Key, TensorView, Value};

use crate::items::{Item, items};
use crate::plain_json::key_text;

/// A path to a value: the name or number of a field, then keys of maps and indices of lists and
/// arrays. A slice may be the last step.
#[derive(Debug, Clone)]
pub(crate) struct FieldPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// A name, or an index written as one: `.3`.
    Name(String),
    /// `[3]`; negative from the end.
    Index(i64),
    /// `[10:20]`; either may be absent.
    Slice(Option<i64>, Option<i64>),
}

/// The fields of a message: names and values.
pub(crate) type Named<'a> = (Cow<'static, str>, Value<'a>);

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A name in a path, in quotes if the path needs them.
pub(crate) fn key_step(key: &str) -> String {
    match key.is_empty() || key.contains(['.', '[', ']', '"', ':', '\\']) {
        true => format!("[{}]", serde_json::Value::from(key)),
        false => format!(".{key}"),
    }
}

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if matches!(steps.last(), Some(Step::Slice(..))) {
                return Err("a slice must be the last step".to_owned());
            }
            let dotted = rest.strip_prefix('.').filter(|_| !steps.is_empty());
            let is_first = steps.is_empty();
            if let Some(after) = rest.strip_prefix('[') {
                let (step, after) = bracket(after)?;
                steps.push(step);
                rest = after;
            } else if let Some(name) = dotted.or(is_first.then_some(rest)) {
                let (name, after) = match name.starts_with('"') {
                    true => quoted(name)?,
                    false => {
                        let end = name.find(['.', '[']).unwrap_or(name.len());
                        let (name, after) = name.split_at(end);
                        if name.is_empty() {
                            return Err("a name is empty".to_owned());
                        }
                        (name.to_owned(), after)
                    }
                };
                steps.push(Step::Name(name));
                rest = after;
            } else {
                return Err(format!("expected \".\" or \"[\" before {rest:?}"));
            }
        }
        match steps.is_empty() {
            true => Err("a path names a field".to_owned()),
            false => Ok(Self { text: text.to_owned(), steps }),
        }
    }
}

/// The step after `[`, and the rest after `]`.
fn bracket(text: &str) -> Result<(Step, &str), String> {
    if text.starts_with('"') {
        let (name, rest) = quoted(text)?;
        let rest = rest.strip_prefix(']').ok_or("\"]\" is missing after a key")?;
        return Ok((Step::Name(name), rest));
    }
    let (inside, rest) = text.split_once(']').ok_or("\"]\" is missing")?;
    let number = |text: &str| {
        let hint = || format!("[{inside}] is not [INDEX], [START:STOP] or [\"KEY\"]");
        text.trim().parse::<i64>().map_err(|_| hint())
    };
    let bound = |text: &str| match text.trim() {
        "" => Ok(None),
        text => number(text).map(Some),
    };
    let step = match inside.split_once(':') {
        Some((start, stop)) => Step::Slice(bound(start)?, bound(stop)?),
        None => Step::Index(number(inside)?),
    };
    Ok((step, rest))
}

/// The string at the beginning of a text, written as in JSON, and the rest.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut strings = serde_json::Deserializer::from_str(text).into_iter::<String>();
    match strings.next() {
        Some(Ok(name)) => Ok((name, text.get(strings.byte_offset()..).unwrap_or_default())),
        _ => Err("a quoted key does not end".to_owned()),
    }
}

impl FieldPath {
    /// The name or number of the field.
    fn first(&self) -> Cow<'_, str> {
        match self.steps.first() {
            Some(Step::Name(name)) => name.into(),
            Some(Step::Index(at)) => at.to_string().into(),
            _ => "".into(),
        }
    }

    /// Whether a message has the field in which the path begins.
    pub(crate) fn begins_in(&self, fields: &[Named<'_>]) -> bool {
        self.field(fields).is_some()
    }

    /// Whether the path begins with a name, and the message has no field of that name.
    pub(crate) fn is_name_outside(&self, fields: &[Named<'_>]) -> bool {
        self.first().parse::<usize>().is_err() && !self.begins_in(fields)
    }

    fn field<'a>(&self, fields: &[Named<'a>]) -> Option<Value<'a>> {
        let first = self.first();
        let named = fields.iter().position(|(name, _)| *name == first);
        let (_, value) = fields.get(named.or_else(|| first.parse().ok())?)?;
        Some(*value)
    }

    /// The values at the path: one, or each item of a slice of a list. A 32-bit float of an array becomes
    /// the number with the same shortest decimal form, or with `is_exact` the same number.
    ///
    /// # Errors
    /// If the message has none: the step that fails, and what there is instead.
    pub(crate) fn select<'a>(
        &self,
        fields: &[Named<'a>],
        is_exact: bool,
    ) -> Result<Vec<Named<'a>>, ValueError> {
        let mut value = self.field(fields).ok_or_else(|| {
            let names: Vec<_> = fields.iter().map(|(name, _)| name.as_ref()).collect();
            ValueError::new(format!("no field {}; it has {}", self.first(), listed(&names)))
        })?;
        for step in self.steps.iter().skip(1) {
            value = match (step, value) {
                (Step::Slice(start, stop), Value::List(list)) => {
                    let range = range(*start, *stop, list.len());
                    let entry = |(at, item): (usize, Value<'a>)| {
                        let base = self.text.rsplit_once('[').map_or("", |(base, _)| base);
                        (Cow::Owned(format!("{base}[{at}]")), item)
                    };
                    let items = list.iter().enumerate().skip(range.start).take(range.len());
                    return Ok(items.map(entry).collect());
                }
                (step, value) => step_into(value, step, is_exact)?,
            };
        }
        Ok(vec![(Cow::Owned(self.text.clone()), value)])
    }
}

fn step_into<'a>(value: Value<'a>, step: &Step, is_exact: bool) -> Result<Value<'a>, ValueError> {
    let at = |len: usize| match step {
        Step::Name(name) => name.parse::<usize>().ok().filter(|at| *at < len),
        Step::Index(at) => position(*at, len),
        Step::Slice(..) => None,
    };
    let absent = |what: &str, len: usize| {
        let index = match step {
            Step::Name(name) => key_step(name),
            Step::Index(at) => format!("[{at}]"),
            Step::Slice(..) => "slice".to_owned(),
        };
        ValueError::new(format!("no {index} in {what} of {len}"))
    };
    match value {
        Value::Map(map) => {
            let Step::Name(name) = step else {
                return Err(ValueError::new("a map has keys and no indices"));
            };
            let by_text = || map.iter().find(|(key, _)| key_text(*key) == *name).map(|(_, v)| v);
            map.get(name).or_else(by_text).ok_or_else(|| {
                let keys: Vec<_> = map.iter().map(|(key, _)| key_text(key)).collect();
                let keys: Vec<_> = keys.iter().map(String::as_str).collect();
                ValueError::new(format!("no key {name}; it has {}", listed(&keys)))
            })
        }
        Value::List(list) => {
            at(list.len()).and_then(|at| list.get(at)).ok_or_else(|| absent("a list", list.len()))
        }
        Value::Bytes(bytes) => match step {
            Step::Slice(start, stop) => {
                let range = range(*start, *stop, bytes.len());
                Ok(Value::Bytes(bytes.get(range).unwrap_or_default()))
            }
            _ => {
                let byte = at(bytes.len()).and_then(|at| bytes.get(at));
                let byte = byte.ok_or_else(|| absent("bytes", bytes.len()))?;
                Ok(Value::Int((*byte).into()))
            }
        },
        Value::Array(array) => match part(&array, step, at)? {
            part if part.shape().is_empty() => Ok(scalar(part, is_exact)),
            part => Ok(Value::Array(part)),
        },
        Value::Tensor(tensor) => match part(&tensor.array, step, at)? {
            part if part.shape().is_empty() => Ok(scalar(part, is_exact)),
            array => Ok(Value::Tensor(TensorView { array, ..tensor })),
        },
        _ => Err(ValueError::new("the value is not a map, a list or an array")),
    }
}

/// A part of an array along its first dimension.
fn part<'a>(
    array: &ArrayView<'a>,
    step: &Step,
    at: impl Fn(usize) -> Option<usize>,
) -> Result<ArrayView<'a>, ValueError> {
    let Some((count, inner)) = array.shape().split_first() else {
        return Err(ValueError::new("the array is a single item"));
    };
    let stride = inner.iter().product::<usize>() * array.dtype().item_len();
    let (range, shape) = match step {
        Step::Slice(start, stop) => {
            let range = range(*start, *stop, *count);
            let shape = [&[range.len()], inner].concat();
            (range, shape)
        }
        step => {
            let at = at(*count).ok_or_else(|| match step {
                Step::Index(at) => {
                    ValueError::new(format!("no [{at}] in an array of shape {:?}", array.shape()))
                }
                _ => ValueError::new("an array has indices and no keys"),
            })?;
            (at..at + 1, inner.to_vec())
        }
    };
    let data = array.data().get(range.start * stride..range.end * stride).unwrap_or_default();
    ArrayView::new(array.dtype(), &shape, data).map_err(|error| ValueError::new(error.to_string()))
}

/// The item of an array as a number; an item that is none stays an array.
fn scalar(array: ArrayView<'_>, is_exact: bool) -> Value<'_> {
    match items(&array).next() {
        Some(Item::Bool(value)) => Value::Bool(value),
        Some(Item::UInt(value)) => Value::Int(value.into()),
        // The item of a time has a unit, which a number does not have.
        Some(Item::Int(value)) if array.dtype().time_unit().is_none() => Value::Int(value.into()),
        Some(Item::Float32(value)) => match value.to_string().parse() {
            Ok(shortest) if !is_exact => Value::Float(shortest),
            _ => Value::Float(value.into()),
        },
        Some(Item::Float(value)) => Value::Float(value),
        _ => Value::Array(array),
    }
}

/// An index from the beginning, of one that may count from the end.
fn position(at: i64, len: usize) -> Option<usize> {
    let from_end = || len.checked_sub(usize::try_from(at.unsigned_abs()).ok()?);
    let at = if at < 0 { from_end() } else { usize::try_from(at).ok() };
    at.filter(|at| *at < len)
}

/// The items of a slice, as in Python: bounds outside of the list are its ends.
fn range(start: Option<i64>, stop: Option<i64>, len: usize) -> Range<usize> {
    let bound = |at: i64| match usize::try_from(at.unsigned_abs()).unwrap_or(usize::MAX) {
        size if at < 0 => len.saturating_sub(size),
        size => size.min(len),
    };
    let (start, stop) = (start.map_or(0, bound), stop.map_or(len, bound));
    start..stop.max(start)
}

/// Names for an error, of which the first ten are listed.
fn listed(names: &[&str]) -> String {
    match names.get(..10) {
        _ if names.is_empty() => "none".to_owned(),
        Some(first) if names.len() > 10 => {
            format!("{} and {} more", first.join(", "), names.len() - 10)
        }
        _ => names.join(", "),
    }
}

/// The name of a map's key in a column title or a path.
pub(crate) fn map_key_step(key: Key<'_>) -> String {
    key_step(&key_text(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::with_decoded;
    use crate::plain_json::{Arrays, to_json};
    use cortex_std::wire::{OwnedArray, OwnedKey, OwnedValue};

    fn shown(value: &OwnedValue, path: &str) -> Result<String, String> {
        let path: FieldPath = path.parse()?;
        with_decoded(value, |value| {
            let fields = [(Cow::Borrowed("data"), value)];
            let found = path.select(&fields, false).map_err(|error| error.to_string())?;
            let text = |(_, value): &Named<'_>| to_json(*value, Arrays::Full).to_string();
            Ok(found.iter().map(text).collect::<Vec<_>>().join(" "))
        })
    }

    #[test]
    fn arrays_have_indices_and_slices() {
        let array = OwnedArray::from_slice(&[0.1_f32, 1.0, 2.0, 3.0, 4.0, 5.0], &[3, 2]).unwrap();
        let value = OwnedValue::Array(array);
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(shown(&value, "data[0][0]"), ok("0.1"));
        assert_eq!(shown(&value, "data.0.1"), ok("1.0"));
        assert_eq!(shown(&value, "0[-1][-2]"), ok("4.0"));
        let part = r#"{"dtype":"<f4","shape":[2,2],"data":[[2.0,3.0],[4.0,5.0]]}"#;
        assert_eq!(shown(&value, "data[1:]"), ok(part));
        assert_eq!(shown(&value, "data[-2:99]"), ok(part));
        assert_eq!(shown(&value, "data[2:1]"), ok(r#"{"dtype":"<f4","shape":[0,2],"data":[]}"#));
        assert_eq!(shown(&value, "data[3]"), Err("no [3] in an array of shape [3, 2]".to_owned()));
        assert_eq!(shown(&value, "data.x"), Err("an array has indices and no keys".to_owned()));
        assert_eq!(
            shown(&value, "data[0][0][0]"),
            Err("the value is not a map, a list or an array".to_owned())
        );
        assert_eq!(shown(&value, "date"), Err("no field date; it has data".to_owned()));
    }

    #[test]
    fn lists_bytes_and_keys_with_any_characters_are_reached() {
        let int = |number: u8| OwnedValue::Int(number.into());
        let map = OwnedValue::Map(vec![
            (OwnedKey::Str("a.b".to_owned()), int(1)),
            (OwnedKey::Str("list".to_owned()), OwnedValue::List(vec![int(4), int(5), int(6)])),
            (OwnedKey::Bytes(vec![0, 65]), OwnedValue::Bytes(vec![7, 8, 9])),
        ]);
        let ok = |text: &str| Ok(text.to_owned());
        assert_eq!(shown(&map, r#"data["a.b"]"#), ok("1"));
        assert_eq!(shown(&map, r#"data."a.b""#), ok("1"));
        assert_eq!(shown(&map, "data.list[1:]"), ok("5 6"));
        assert_eq!(shown(&map, "data.list.2"), ok("6"));
        assert_eq!(shown(&map, r#"data["b\"\\x00A\""][1]"#), ok("8"));
        assert_eq!(shown(&map, r#"data["b\"\\x00A\""][:2]"#), ok(r#"{"bytes":"0708"}"#));
        let missing = shown(&map, "data.nothing").unwrap_err();
        assert_eq!(missing, "no key nothing; it has a.b, list, b\"\\x00A\"");
        assert_eq!(shown(&map, "data.list[7]"), Err("no [7] in a list of 3".to_owned()));
        assert_eq!(shown(&map, "data[0]"), Err("a map has keys and no indices".to_owned()));
        // A column title is a path.
        for (key, expected) in [("a.b", "[\"a.b\"]"), ("kp", ".kp"), ("", "[\"\"]")] {
            assert_eq!(key_step(key), expected);
            let path: FieldPath = format!("data{expected}").parse().unwrap();
            assert_eq!(path.steps[1], Step::Name(key.to_owned()));
        }
    }

    #[test]
    fn an_invalid_path_is_refused() {
        for (path, expected) in [
            ("", "a path names a field"),
            ("a..b", "a name is empty"),
            (".a", "a name is empty"),
            ("a.", "a name is empty"),
            ("a[", "\"]\" is missing"),
            ("a[x]", "[x] is not [INDEX], [START:STOP] or [\"KEY\"]"),
            ("a[0,1]", "[0,1] is not [INDEX], [START:STOP] or [\"KEY\"]"),
            ("a[1:2:3]", "[1:2:3] is not [INDEX], [START:STOP] or [\"KEY\"]"),
            ("a[\"x]", "a quoted key does not end"),
            ("a[\"x\"", "\"]\" is missing after a key"),
            ("a[0]b", "expected \".\" or \"[\" before \"b\""),
            ("a[1:2].x", "a slice must be the last step"),
        ] {
            assert_eq!(path.parse::<FieldPath>().map(|_| ()), Err(expected.to_owned()), "{path}");
        }
    }
}
