//! What others read from the same bytes: rmpv for MessagePack, and parsers that are written to be read,
//! without a thought of speed or memory.

pub mod blob;
pub mod discovery;
pub mod dtype;
pub mod link;
pub mod value;
pub mod zmtp;

use rmpv::Value as Item;

/// Skipped values may be nested to any depth; an input is shorter.
const MAX_DEPTH: usize = 8192;

/// The item that fills `bytes` exactly; `None` if there is none, or a text in it is not UTF-8.
pub fn item(bytes: &[u8]) -> Option<Item> {
    let mut rest = bytes;
    let item = rmpv::decode::read_value_with_max_depth(&mut rest, MAX_DEPTH).ok()?;
    (rest.is_empty() && is_text(&item)).then_some(item)
}

fn is_text(item: &Item) -> bool {
    match item {
        Item::String(text) => text.as_str().is_some(),
        Item::Array(items) => items.iter().all(is_text),
        Item::Map(pairs) => pairs.iter().all(|(key, value)| is_text(key) && is_text(value)),
        _ => true,
    }
}
