//! The types that are known by name.

use cortex_std::wire::TypeInfo;
use cortex_std::wire::standard::TYPES;

/// The standard message of a bare name.
pub(crate) fn by_name(name: &str) -> Option<&'static TypeInfo> {
    TYPES.iter().find(|info| info.name() == name)
}

/// The standard message of a full name.
pub(crate) fn by_class(class: &str) -> Option<&'static TypeInfo> {
    TYPES.iter().find(|info| info.class == class)
}

/// The bare name of a class.
pub(crate) fn bare_name(class: &str) -> &str {
    class.rsplit_once('.').map_or(class, |(_, name)| name)
}

/// The bare names of the standard messages.
pub(crate) fn names() -> Vec<&'static str> {
    TYPES.iter().map(TypeInfo::name).collect()
}
