//! Messages as text for people.

use cortex_std::wire::{ArrayView, Value};

use crate::items::{Item, items};
use crate::message::AnyMessage;
use crate::output::{Paint, escaped};
use crate::plain_json::{Arrays, FIRST_ITEMS, key_text};
use crate::summary::{Range, Summary};
use crate::time::{Age, utc};

/// Longest text that is shown in full, in characters; of bytes half as many.
const MAX_SHOWN: usize = 200;

/// Most items of a list or entries of a map that are shown; of more, the first eight.
const MAX_ITEMS: usize = 64;
/// Most lines of a message.
const MAX_LINES: usize = 500;

/// Lines of text, of which there is a limit.
struct Page {
    text: String,
    /// Lines that may follow.
    left: usize,
    omitted: usize,
}

impl Page {
    fn push(&mut self, line: String) {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                self.text += &line;
                self.text.push('\n');
            }
            None => self.omitted += 1,
        }
    }

    fn end(mut self, paint: Paint) -> String {
        if self.omitted > 0 {
            let more = format!(".. {} more lines (--full shows all)", self.omitted);
            self.text += &paint.faint(&more);
            self.text.push('\n');
        }
        self.text
    }
}

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
            escaped(&message.type_name()),
            header.sequence,
            utc(header.timestamp_ns),
            Age::new(received_ns, header.timestamp_ns),
        );
        let heading = format!("{}  {}", self.paint.name(topic), self.paint.faint(&details));
        let mut page = self.page();
        for (name, value) in &message.fields {
            self.entry(&mut page, 0, name, *value);
        }
        format!("{heading}\n{}{}", page.end(self.paint), self.paint.faint("---"))
    }

    /// A value without a name: a list or map has a line for each item, any other value one line.
    pub(crate) fn value(self, value: Value<'_>) -> String {
        let mut page = self.page();
        let is_long = |len: usize| len > MAX_ITEMS && self.arrays != Arrays::Full;
        match value {
            Value::List(list) if list.is_empty() => page.push(self.scalar(value)),
            Value::Map(map) if map.is_empty() => page.push(self.scalar(value)),
            Value::Map(map) if is_long(map.len()) && self.arrays == Arrays::Shape => {
                page.push(format!("{} entries", map.len()));
            }
            Value::List(list)
                if is_long(list.len()) && (self.arrays == Arrays::Shape || is_flat(value)) =>
            {
                page.push(self.scalar(value));
            }
            Value::List(_) | Value::Map(_) => self.items(&mut page, 0, value),
            _ => page.push(self.scalar(value)),
        }
        let mut text = page.end(self.paint);
        text.truncate(text.trim_end().len());
        text
    }

    fn page(self) -> Page {
        let left = if self.arrays == Arrays::Full { usize::MAX } else { MAX_LINES };
        Page { text: String::new(), left, omitted: 0 }
    }

    fn entry(self, page: &mut Page, depth: usize, name: &str, value: Value<'_>) {
        let name = if name.is_empty() { "\"\"".to_owned() } else { escaped(name) };
        let start = format!("{}{}:", "  ".repeat(depth), self.paint.key(&name));
        let (len, what) = match value {
            Value::List(list) if !is_flat(value) => (list.len(), "items"),
            Value::Map(map) => (map.len(), "entries"),
            _ => (0, ""),
        };
        match len {
            0 => page.push(format!("{start} {}", self.scalar(value))),
            _ if len <= MAX_ITEMS || self.arrays == Arrays::Full => {
                page.push(start);
                self.items(page, depth + 1, value);
            }
            _ if self.arrays == Arrays::Shape => page.push(format!("{start} {len} {what}")),
            _ => {
                page.push(format!("{start} {}", self.paint.faint(&format!("{len} {what}"))));
                self.items(page, depth + 1, value);
            }
        }
    }

    /// The items of a list or map, one below the other.
    fn items(self, page: &mut Page, depth: usize, value: Value<'_>) {
        let shown = |len: usize| match self.arrays {
            Arrays::Full => len,
            _ if len <= MAX_ITEMS => len,
            _ => FIRST_ITEMS,
        };
        let len = match value {
            Value::List(list) => {
                for (at, item) in list.iter().enumerate().take(shown(list.len())) {
                    self.entry(page, depth, &format!("[{at}]"), item);
                }
                list.len()
            }
            Value::Map(map) => {
                for (key, value) in map.iter().take(shown(map.len())) {
                    self.entry(page, depth, &key_text(key), value);
                }
                map.len()
            }
            _ => return,
        };
        if shown(len) < len {
            let more = format!(".. {} more (--full shows all)", len - shown(len));
            page.push(format!("{}{}", "  ".repeat(depth), self.paint.faint(&more)));
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
                let len = list.len();
                let shown = match self.arrays {
                    _ if len <= MAX_ITEMS => len,
                    Arrays::Full => len,
                    Arrays::Summary => FIRST_ITEMS,
                    Arrays::Shape => return format!("{len} items"),
                };
                let items: Vec<_> = list.iter().take(shown).map(|item| self.scalar(item)).collect();
                match shown < len {
                    true => format!(
                        "{} [{}, ..]",
                        self.paint.faint(&format!("{len} items")),
                        items.join(", ")
                    ),
                    false => format!("[{}]", items.join(", ")),
                }
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

/// Whether a list is shown on one line: all of its items are scalars.
fn is_flat(value: Value<'_>) -> bool {
    let is_leaf = |item: Value<'_>| {
        !matches!(item, Value::List(_) | Value::Map(_) | Value::Array(_) | Value::Tensor(_))
    };
    matches!(value, Value::List(list) if list.iter().all(is_leaf))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::with_decoded;
    use cortex_std::wire::{OwnedKey, OwnedValue};

    #[test]
    fn numbers_have_four_digits_after_the_point() {
        for (number, text) in
            [(255.0, "255"), (127.456_78, "127.4568"), (0.5, "0.5"), (1e-9, "1.0000e-9")]
        {
            assert_eq!(short(number), text);
        }
    }

    fn shown(value: &OwnedValue, arrays: Arrays) -> Vec<String> {
        let render = Render { paint: Paint::none(), arrays };
        let text = with_decoded(value, |value| render.value(value));
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_long_list_is_shown_by_its_first_items() {
        let numbers = (0..50_000_u64).map(|number| OwnedValue::Int(number.into()));
        let list = OwnedValue::List(numbers.clone().collect());
        let summary = "50000 items [0, 1, 2, 3, 4, 5, 6, 7, ..]";
        assert_eq!(shown(&list, Arrays::Summary), [summary]);
        assert_eq!(shown(&list, Arrays::Shape), ["50000 items"]);
        assert_eq!(shown(&list, Arrays::Full).last().map(String::as_str), Some("[49999]: 49999"));

        let pair = |number: OwnedValue| (OwnedKey::Str("x".to_owned()), number);
        let maps = OwnedValue::List(numbers.map(|n| OwnedValue::Map(vec![pair(n)])).collect());
        let lines = shown(&maps, Arrays::Summary);
        assert_eq!(lines.len(), 17, "{lines:?}");
        assert_eq!(lines[16], ".. 49992 more (--full shows all)");
        assert_eq!(shown(&maps, Arrays::Full).len(), 100_000);
        let held = OwnedValue::Map(vec![pair(maps)]);
        assert_eq!(shown(&held, Arrays::Shape), ["x: 50000 items"]);
        assert_eq!(shown(&held, Arrays::Summary)[0], "x: 50000 items");
    }

    #[test]
    fn a_message_has_a_limited_number_of_lines() {
        let leaf = || OwnedValue::List(vec![OwnedValue::Map(vec![]), OwnedValue::List(vec![])]);
        let nested =
            |inner: &dyn Fn() -> OwnedValue| OwnedValue::List((0..60).map(|_| inner()).collect());
        let value = nested(&|| nested(&leaf));
        let lines = shown(&value, Arrays::Summary);
        assert_eq!(lines.len(), 501);
        assert!(lines[500].ends_with(" more lines (--full shows all)"), "{}", lines[500]);
        assert!(shown(&value, Arrays::Full).len() > 10_000);
    }
}
