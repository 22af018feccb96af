//! Standard message types by name.

use cortex_std::wire::standard::TYPES;
use cortex_std::wire::{Type, TypeInfo};
use std::ops::RangeInclusive;

/// The standard message with a name that has no module.
pub(crate) fn by_name(name: &str) -> Option<&'static TypeInfo> {
    TYPES.iter().find(|info| info.name() == name)
}

/// The standard message with a full class name.
pub(crate) fn by_class(class: &str) -> Option<&'static TypeInfo> {
    TYPES.iter().find(|info| info.class == class)
}

/// The number of fields of a standard message without a default, which come first.
pub(crate) fn required_count(info: &TypeInfo) -> usize {
    match info.name() {
        "PoseMessage" | "TimestampMessage" | "HeaderMessage" => 2,
        _ => 1,
    }
}

/// The type of each value in the map that is the first field of a standard message; `Any` for other
/// messages.
pub(crate) fn map_value_type(class: &str) -> Type {
    match class {
        "cortex.messages.standard.MultiArrayMessage" => Type::Array,
        "cortex.messages.standard.MultiTensorMessage" => Type::Tensor,
        _ => Type::Any,
    }
}

/// The values that Rust nodes accept in an integer field of a standard message. The wire has all
/// integers from -2^63 to 2^64 - 1.
pub(crate) fn integer_range(class: &str, field: &str) -> RangeInclusive<i128> {
    match (bare_name(class), field) {
        ("ImageMessage", _) | ("HeaderMessage", "sequence") => 0..=i128::from(u64::MAX),
        ("TimestampMessage" | "HeaderMessage", _) => i128::from(i64::MIN)..=i128::from(i64::MAX),
        _ => i128::from(i64::MIN)..=i128::from(u64::MAX),
    }
}

/// The name of a class without its module.
pub(crate) fn bare_name(class: &str) -> &str {
    class.rsplit_once('.').map_or(class, |(_, name)| name)
}

/// The standard messages whose names contain `name`, or all of them if none does.
pub(crate) fn similar_names(name: &str) -> Vec<&'static str> {
    let bare = |name: &str| bare_name(name).to_lowercase().replace("message", "");
    let wanted = bare(name);
    let names = TYPES.iter().map(TypeInfo::name);
    let is_similar = |other: &&str| !wanted.is_empty() && bare(other).contains(&wanted);
    let found: Vec<_> = names.clone().filter(is_similar).collect();
    if found.is_empty() { names.collect() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_names_contain_the_given_one_or_are_all() {
        assert_eq!(similar_names("Pose"), ["PoseMessage"]);
        assert_eq!(similar_names("arraymessage"), ["ArrayMessage", "MultiArrayMessage"]);
        assert_eq!(similar_names("Twist").len(), 16);
        assert_eq!(similar_names("").len(), 16);
    }
}
