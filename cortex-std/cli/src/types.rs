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

/// The bare names of the standard messages that somebody may have meant: all where none is alike.
pub(crate) fn alike(name: &str) -> Vec<&'static str> {
    let bare = |name: &str| bare_name(name).to_lowercase().replace("message", "");
    let wanted = bare(name);
    let names = TYPES.iter().map(TypeInfo::name);
    let alike = |other: &&str| !wanted.is_empty() && bare(other).contains(&wanted);
    let found: Vec<_> = names.clone().filter(alike).collect();
    if found.is_empty() { names.collect() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_nearly_right_is_told_from_one_that_is_not() {
        assert_eq!(alike("Pose"), ["PoseMessage"]);
        assert_eq!(alike("arraymessage"), ["ArrayMessage", "MultiArrayMessage"]);
        assert_eq!(alike("Twist").len(), 16);
        assert_eq!(alike("").len(), 16);
    }
}
