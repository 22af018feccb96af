//! Messages as text for people.

use cortex_std::wire::{ArrayView, Value};
use std::fmt::Write;
use std::time::Duration;

use crate::items::{Item, items};
use crate::message::AnyMessage;
use crate::output::{Paint, escaped};
use crate::plain_json::{Arrays, FIRST_ITEMS, key_text};
use crate::summary::{Range, Summary};
use crate::time::{duration, utc};

/// Longest text that is shown in full, in characters; of bytes half as many.
const MAX_SHOWN: usize = 200;

/// Renders messages and values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Render {
    pub(crate) paint: Paint,
    pub(crate) arrays: Arrays,
}

impl Render {
    /// A message: a line from its header, one or more lines for each field, and a separator.
    pub(crate) fn message(self, topic: &str, message: &AnyMessage<'_>, received_ns: u64) -> String {
        let header = &message.header;
        let details = format!(
            "{}  #{}  {}  {}",
            message.type_name(),
            header.sequence,
            utc(header.timestamp_ns),
            delay(received_ns, header.timestamp_ns),
        );
        let mut text = format!("{}  {}\n", self.paint.name(topic), self.paint.faint(&details));
        for (name, value) in &message.fields {
            self.entry(&mut text, 0, name, *value);
        }
        text += &self.paint.faint("---");
        text
    }

    /// A value without a name: a list or map has a line for each item, any other value one line.
    pub(crate) fn value(self, value: Value<'_>) -> String {
        let mut text = String::new();
        match value {
            Value::List(_) | Value::Map(_) => self.items(&mut text, 0, value),
            _ => text += &self.scalar(value),
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn entry(self, text: &mut String, depth: usize, name: &str, value: Value<'_>) {
        let indent = "  ".repeat(depth);
        let _ = write!(text, "{indent}{}:", self.paint.key(&escaped(name)));
        match value {
            Value::List(list) if !list.is_empty() && !is_flat(value) => {
                text.push('\n');
                self.items(text, depth + 1, value);
            }
            Value::Map(map) if !map.is_empty() => {
                text.push('\n');
                self.items(text, depth + 1, value);
            }
            _ => {
                let _ = writeln!(text, " {}", self.scalar(value));
            }
        }
    }

    /// The items of a list or map, one below the other.
    fn items(self, text: &mut String, depth: usize, value: Value<'_>) {
        match value {
            Value::List(list) => {
                for (at, item) in list.iter().enumerate() {
                    self.entry(text, depth, &format!("[{at}]"), item);
                }
            }
            Value::Map(map) => {
                for (key, value) in map.iter() {
                    self.entry(text, depth, &key_text(key), value);
                }
            }
            _ => {}
        }
    }

    fn scalar(self, value: Value<'_>) -> String {
        match value {
            Value::Nil => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => format!("{value:?}"),
            Value::Str(value) => self.text(value),
            Value::Bytes(value) => self.bytes(value),
            Value::List(list) => {
                let items: Vec<_> = list.iter().map(|item| self.scalar(item)).collect();
                format!("[{}]", items.join(", "))
            }
            // `entry` writes the items of other maps on separate lines.
            Value::Map(_) => "{}".to_owned(),
            Value::Array(array) => self.array(&array),
            Value::Tensor(tensor) => {
                let grad = if tensor.requires_grad { " requires_grad" } else { "" };
                format!("{}{grad} {}", escaped(tensor.device), self.array(&tensor.array))
            }
        }
    }

    fn text(self, text: &str) -> String {
        match text.char_indices().nth(MAX_SHOWN) {
            Some((end, _)) if self.arrays != Arrays::Full => {
                let more = text.len() - end;
                let start = text.get(..end).unwrap_or_default();
                format!("{start:?}{}", self.paint.faint(&format!(".. {more} more bytes")))
            }
            _ => format!("{text:?}"),
        }
    }

    fn bytes(self, bytes: &[u8]) -> String {
        let shown = match self.arrays {
            Arrays::Full => bytes.len(),
            _ => bytes.len().min(MAX_SHOWN / 2),
        };
        let digits = cortex_cli::typed_json::hex(bytes.get(..shown).unwrap_or_default());
        let more = match bytes.len() - shown {
            0 => String::new(),
            more => self.paint.faint(&format!(".. {more} more bytes")),
        };
        format!("0x{digits}{more}")
    }

    fn array(self, array: &ArrayView<'_>) -> String {
        let kind = format!("{} {:?}", array.dtype().as_text(), array.shape());
        let kind = self.paint.warning(&kind);
        let first = |count| {
            let items: Vec<_> =
                items(array).take(count).map(|item| escaped(&item.to_string())).collect();
            let more = if array.item_count() > count { ", .." } else { "" };
            format!("[{}{more}]", items.join(", "))
        };
        match self.arrays {
            Arrays::Shape => kind,
            Arrays::Full => format!("{kind} {}", first(usize::MAX)),
            Arrays::Summary => {
                let summary = Summary::of(array).filter(|_| array.item_count() > 1);
                let summary = summary.map_or_else(String::new, |summary| {
                    let range =
                        summary.range.map_or_else(String::new, |Range { min, max, mean }| {
                            format!(
                                " min {} max {} mean {}",
                                extreme(&min),
                                extreme(&max),
                                short(mean)
                            )
                        });
                    let missing = match summary.missing {
                        0 => String::new(),
                        missing => format!(" {} {missing}", summary.missing_name),
                    };
                    self.paint.faint(&format!("{range}{missing}"))
                });
                format!("{kind}{summary} {}", first(FIRST_ITEMS))
            }
        }
    }
}

/// Whether a list fits on one line: it has at most 64 items, and all are scalars.
fn is_flat(value: Value<'_>) -> bool {
    let is_leaf = |item: Value<'_>| {
        !matches!(item, Value::List(_) | Value::Map(_) | Value::Array(_) | Value::Tensor(_))
    };
    matches!(value, Value::List(list) if list.len() <= 64 && list.iter().all(is_leaf))
}

/// An extreme of a range: an integer in full, a float as [`short`] writes it.
fn extreme(item: &Item) -> String {
    match item {
        Item::Float32(value) => short((*value).into()),
        Item::Float(value) => short(*value),
        exact => exact.to_string(),
    }
}

/// A number with four digits after the point, or fewer if these are zero.
fn short(number: f64) -> String {
    if number == number.trunc() && number.abs() < 1e15 {
        return format!("{number}");
    }
    match number.abs() {
        size if (1e-3..1e6).contains(&size) => {
            let text = format!("{number:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => format!("{number:.4e}"),
    }
}

/// The time between publishing and receiving, by the clocks of the two machines.
fn delay(received_ns: u64, sent_ns: u64) -> String {
    match received_ns.checked_sub(sent_ns) {
        Some(delay) => format!("+{}", duration(Duration::from_nanos(delay).as_secs_f64())),
        None => "from the future".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits_after_the_point() {
        for (number, text) in
            [(255.0, "255"), (127.456_78, "127.4568"), (0.5, "0.5"), (1e-9, "1.0000e-9")]
        {
            assert_eq!(short(number), text);
        }
    }
}
