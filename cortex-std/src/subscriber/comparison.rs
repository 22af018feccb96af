//! The fields of a type beside the values of a message, for the log.

use std::fmt;

use crate::wire::{Event, FieldInfo, Frames, Walk};

/// Values of a message that are shown; a hostile one may have millions.
const MAX_ROWS: usize = 64;

/// The fields of a type, as `name: type, name: type or nil`.
pub(super) struct FieldList<'f>(pub(super) &'f [FieldInfo]);

impl fmt::Display for FieldList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, field) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", field_text(field))?;
        }
        Ok(())
    }
}

/// Two columns: each field of the subscriber's type, and the kind of the value that a message has there.
/// `<-` marks the rows that do not match.
pub(super) fn compare(fields: &[FieldInfo], message: &dyn Frames) -> String {
    let kinds = kinds_of(message);
    let subscribed: Vec<String> = fields.iter().map(field_text).collect();
    let width = subscribed.iter().map(String::len).max().unwrap_or(0).max("subscribed".len());
    let mut text = format!("\n  {:width$}  received", "subscribed");
    for row in 0..subscribed.len().max(kinds.len()) {
        let (field, kind) = (fields.get(row), kinds.get(row).copied());
        let matches = match (field, kind) {
            (Some(field), Some("nil")) => field.optional || field.ty.as_str() == "any",
            (Some(field), Some(kind)) => [kind, "any"].contains(&field.ty.as_str()),
            _ => false,
        };
        let name = subscribed.get(row).map_or("(none)", String::as_str);
        let mark = if matches { "" } else { "  <-" };
        text += &format!("\n  {name:width$}  {}{mark}", kind.unwrap_or("(none)"));
    }
    text
}

fn field_text(field: &FieldInfo) -> String {
    let nil = if field.optional { " or nil" } else { "" };
    format!("{}: {}{nil}", field.name, field.ty)
}

/// The kinds of the values of a message, one for each field.
fn kinds_of(message: &dyn Frames) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    let Ok(walk) = Walk::new(message) else { return kinds };
    let mut depth = 0_usize;
    for event in walk {
        let (kind, deeper) = match event {
            Ok(Event::Value(value)) => (value.ty().as_str(), false),
            Ok(Event::List { .. }) => ("list", true),
            Ok(Event::Map { .. }) => ("map", true),
            Ok(Event::Key(_)) => continue,
            Ok(Event::End) => {
                depth = depth.saturating_sub(1);
                continue;
            }
            Err(_) => {
                kinds.push("(invalid)");
                break;
            }
        };
        // The outermost list holds the fields.
        if depth == 1 {
            kinds.push(kind);
        }
        if kinds.len() >= MAX_ROWS {
            break;
        }
        depth = depth.saturating_add(usize::from(deeper));
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Type;

    const FIELDS: [FieldInfo; 3] = [
        FieldInfo { name: "joints", ty: Type::Array, optional: false },
        FieldInfo { name: "tool", ty: Type::Str, optional: true },
        FieldInfo { name: "gain", ty: Type::Float, optional: false },
    ];

    fn message(metadata: &[u8]) -> [&[u8]; 2] {
        [&[0; 24], metadata]
    }

    #[test]
    fn each_field_stands_beside_the_kind_of_the_value_that_arrived() {
        // [7, nil, 1, {"a": [true]}]
        let text = compare(&FIELDS, &message(b"\x94\x07\xc0\x01\x81\xa1a\x91\xc3"));
        let expected = "
  subscribed        received
  joints: array     int  <-
  tool: str or nil  nil
  gain: float       int  <-
  (none)            map  <-";
        assert_eq!(text, expected);
        let text = compare(&FIELDS, &message(b"\x91\xa1x"));
        assert!(text.ends_with("gain: float       (none)  <-"), "{text}");
        assert_eq!(FieldList(&FIELDS).to_string(), "joints: array, tool: str or nil, gain: float");
    }

    #[test]
    fn malformed_messages_and_long_ones_are_compared_as_far_as_they_go() {
        assert!(compare(&FIELDS, &message(b"\x93\x01\xc1")).contains("(invalid)"));
        assert!(compare(&[], &message(b"")).starts_with("\n  subscribed  received"));
        let mut long = vec![0xdd, 0, 1, 0, 0];
        long.resize(5 + 65536, 0);
        assert_eq!(compare(&FIELDS, &message(&long)).lines().count(), 2 + MAX_ROWS);
    }
}
