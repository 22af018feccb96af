//! What a channel says about a publisher of a topic.

use std::collections::BTreeMap;

use cortex_std::discovery::Topic;
use cortex_std::wire::find_type;
use cortex_std::wire::standard::TYPES;
use serde_json::{Value as Json, json};

/// A publisher of a topic: what a channel of a bag says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// The topic.
    pub topic: String,
    /// The publishing node.
    pub node: String,
    /// The class: with its module for standard messages, else as its publisher registered it.
    pub class: String,
    /// The fingerprint of its messages.
    pub fingerprint: u64,
    /// The layout hash, where its publisher is a Rust node.
    pub layout: Option<u64>,
    /// The fields in order, where the type is a standard one.
    pub fields: Vec<Field>,
}

/// A field of a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The name of its type, as [`Type::as_str`](cortex_std::wire::Type::as_str).
    pub kind: String,
    /// Whether nil is allowed instead.
    pub optional: bool,
}

impl ChannelInfo {
    /// A publisher of a topic. Class and fields of a standard message follow from the fingerprint.
    #[must_use]
    pub fn new(topic: &str, node: &str, class: &str, fingerprint: u64) -> Self {
        let info = find_type(TYPES, fingerprint);
        let field = |field: &cortex_std::wire::FieldInfo| Field {
            name: field.name.to_owned(),
            kind: field.ty.as_str().to_owned(),
            optional: field.optional,
        };
        Self {
            topic: topic.to_owned(),
            node: node.to_owned(),
            class: info.map_or(class, |info| info.class).to_owned(),
            fingerprint,
            layout: None,
            fields: info.map_or(&[][..], |info| info.fields).iter().map(field).collect(),
        }
    }

    /// A topic as the daemon lists it.
    #[must_use]
    pub fn of(topic: &Topic) -> Self {
        Self::new(&topic.name, &topic.publisher_node, &topic.message_type, topic.fingerprint)
    }

    /// This publisher with its layout hash.
    #[must_use]
    pub fn with_layout(mut self, layout: Option<u64>) -> Self {
        self.layout = layout;
        self
    }

    /// The class without its module, as publishers register it.
    #[must_use]
    pub fn class_name(&self) -> &str {
        self.class.rsplit_once('.').map_or(&self.class, |(_, name)| name)
    }

    /// The schema of the class, as JSON.
    pub(crate) fn schema(&self) -> Vec<u8> {
        let field = |field: &Field| json!({ "name": field.name, "type": field.kind, "optional": field.optional });
        let fields: Vec<_> = self.fields.iter().map(field).collect();
        let mut schema = json!({ "class": self.class, "fingerprint": hex(self.fingerprint) });
        if let Some(schema) = schema.as_object_mut() {
            if let Some(layout) = self.layout {
                schema.insert("layout".to_owned(), json!(hex(layout)));
            }
            if !fields.is_empty() {
                schema.insert("fields".to_owned(), json!(fields));
            }
        }
        schema.to_string().into_bytes()
    }

    /// The metadata of the channel.
    pub(crate) fn metadata(&self) -> BTreeMap<String, String> {
        let entry = |name: &str, value: String| (name.to_owned(), value);
        let mut metadata = BTreeMap::from([
            entry("node", self.node.clone()),
            entry("fingerprint", hex(self.fingerprint)),
        ]);
        metadata.extend(self.layout.map(|layout| entry("layout", hex(layout))));
        metadata
    }

    /// From a channel of a file; what is missing or invalid is left empty.
    pub(crate) fn parse(
        topic: String,
        metadata: &BTreeMap<String, String>,
        class: &str,
        schema: &[u8],
    ) -> Self {
        let schema: Json = serde_json::from_slice(schema).unwrap_or_default();
        let number = |name: &str| parse_hex(metadata.get(name)?);
        let text = |json: &Json, name: &str| json.get(name)?.as_str().map(str::to_owned);
        let field = |json: &Json| Field {
            name: text(json, "name").unwrap_or_default(),
            kind: text(json, "type").unwrap_or_default(),
            optional: json.get("optional").and_then(Json::as_bool).unwrap_or_default(),
        };
        let fields = schema.get("fields").and_then(Json::as_array);
        Self {
            topic,
            node: metadata.get("node").cloned().unwrap_or_default(),
            class: class.to_owned(),
            fingerprint: number("fingerprint").unwrap_or_default(),
            layout: number("layout"),
            fields: fields.into_iter().flatten().map(field).collect(),
        }
    }
}

fn hex(number: u64) -> String {
    format!("{number:#018x}")
}

fn parse_hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use cortex_std::wire::{ImageMessage, Message as _};

    use super::*;

    #[test]
    fn a_channel_says_all_that_is_known_and_is_read_back() {
        let fingerprint = ImageMessage::FINGERPRINT;
        for info in [
            ChannelInfo::new("/cam", "camera", "ImageMessage", fingerprint).with_layout(Some(7)),
            ChannelInfo::new("/own", "arm", "Own", 9),
        ] {
            let read = ChannelInfo::parse(
                info.topic.clone(),
                &info.metadata(),
                &info.class,
                &info.schema(),
            );
            assert_eq!(read, info);
        }
        let image = ChannelInfo::new("/cam", "camera", "?", fingerprint);
        assert_eq!(image.class, "cortex.messages.standard.ImageMessage");
        assert_eq!((image.class_name(), image.fields.is_empty()), ("ImageMessage", false));
    }

    #[test]
    fn an_invalid_schema_leaves_a_channel_without_fields() {
        let metadata = BTreeMap::from([("fingerprint".to_owned(), "seven".to_owned())]);
        let info = ChannelInfo::parse("/t".to_owned(), &metadata, "C", b"{\"fields\": [1, ");
        assert_eq!((info.fingerprint, info.fields.len(), &*info.node), (0, 0, ""));
    }
}
