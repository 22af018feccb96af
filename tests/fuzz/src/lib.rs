//! What the fuzz targets share: how an input becomes frames, what must hold of them, parsers of others
//! to compare with, limits, and mutations that keep an input's structure.

pub mod input;
pub mod limits;
pub mod mutate;
pub mod oracle;
pub mod random;
pub mod roundtrip;
pub mod types;

/// A topic as the oracle of discovery has it.
pub fn topic(info: cortex_wire::discovery::TopicInfo<'_>) -> oracle::discovery::Topic {
    let text = str::to_owned;
    let (name, address, kind) = (text(info.name), text(info.address), text(info.message_type));
    (name, address, kind, info.fingerprint, text(info.publisher_node))
}
