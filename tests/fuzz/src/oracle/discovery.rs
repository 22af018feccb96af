//! Discovery bodies by rmpv: what a Python peer finds in them.

use std::collections::BTreeMap;

use rmpv::Value as Item;

use crate::oracle::item;

/// Name, address, message type, fingerprint, node.
pub type Topic = (String, String, String, u64, String);

/// The command, the topic's name, the topic, and layout, lease and whether it is shared.
pub type Request = (u64, Option<String>, Option<Topic>, (Option<u64>, Option<u64>, bool));

/// The status, the message, the topic, the topics, and epoch and layout.
pub type Response = (u64, String, Option<Topic>, Vec<Topic>, (Option<u64>, Option<u64>));

/// A map's values of text keys; `None` if it is no map, or one of `once` is there twice.
fn entries<'t>(item: &'t Item, once: &[&str]) -> Option<BTreeMap<&'t str, Vec<&'t Item>>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for (key, value) in item.as_map()? {
        match key {
            Item::String(key) => all.entry(key.as_str()?).or_default().push(value),
            Item::Binary(_) => {}
            _ => return None,
        }
    }
    once.iter().all(|key| all.get(key).is_none_or(|all| all.len() == 1)).then_some(all)
}

/// The value of a key that may be nil or missing; `None` if it is of another type.
fn optional<T>(value: Option<&Vec<&Item>>, read: impl Fn(&Item) -> Option<T>) -> Option<Option<T>> {
    match value.map(|all| all[0]) {
        None | Some(Item::Nil) => Some(None),
        Some(value) => read(value).map(Some),
    }
}

fn text(item: &Item) -> Option<String> {
    Some(item.as_str()?.to_owned())
}

fn bytes(item: &Item) -> Option<&[u8]> {
    match item {
        Item::Binary(bytes) => Some(bytes),
        _ => None,
    }
}

fn topic(packed: &Item) -> Option<Topic> {
    let item = item(bytes(packed)?)?;
    let keys = ["name", "address", "message_type", "fingerprint", "publisher_node"];
    let all = entries(&item, &keys)?;
    let [name, address, kind, fingerprint, node] = keys.map(|key| all.get(key).map(|all| all[0]));
    Some((text(name?)?, text(address?)?, text(kind?)?, fingerprint?.as_u64()?, text(node?)?))
}

/// The last number of a key in extensions, all of which must be numbers up to `max`.
fn number(ext: &[&Item], key: &str, max: u64) -> Option<Option<u64>> {
    let mut last = None;
    for ext in ext {
        for value in entries(ext, &[])?.get(key).into_iter().flatten() {
            last = Some(value.as_u64().filter(|value| *value <= max)?);
        }
    }
    Some(last)
}

/// Reads a request.
pub fn request(body: &[u8]) -> Option<Request> {
    let item = item(body)?;
    let all = entries(&item, &["command", "topic_name", "topic_info"])?;
    let command = all.get("command")?[0].as_u64()?;
    let ext = all.get("ext").cloned().unwrap_or_default();
    let mut shared = false;
    for ext in &ext {
        for value in entries(ext, &[])?.get("shared").into_iter().flatten() {
            shared = value.as_bool()?;
        }
    }
    matches!(command, 1..=5 | 99).then_some(())?;
    Some((
        command,
        optional(all.get("topic_name"), text)?,
        optional(all.get("topic_info"), topic)?,
        (number(&ext, "layout", u64::MAX)?, number(&ext, "lease_ms", u32::MAX.into())?, shared),
    ))
}

/// Reads a response.
pub fn response(body: &[u8]) -> Option<Response> {
    let item = item(body)?;
    let all = entries(&item, &["status", "message", "topic_info", "topics"])?;
    let status = all.get("status")?[0].as_u64().filter(|status| *status < 4)?;
    let ext = all.get("ext").cloned().unwrap_or_default();
    let topics = |item: &Item| item.as_array()?.iter().map(topic).collect::<Option<Vec<_>>>();
    for ext in &ext {
        entries(ext, &[])?;
    }
    Some((
        status,
        optional(all.get("message"), text)?.unwrap_or_default(),
        optional(all.get("topic_info"), topic)?,
        optional(all.get("topics"), topics)?.unwrap_or_default(),
        (number(&ext, "epoch", u64::MAX)?, number(&ext, "layout", u64::MAX)?),
    ))
}
