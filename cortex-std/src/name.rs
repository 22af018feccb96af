//! Names of nodes, topics and threads.

use crate::error::NameError;

/// Bytes of the longest name. libzmq's store of subscriptions recurses once per byte.
const MAX_NAME_LEN: usize = 1024;

/// Rejects a name that is empty, longer than 1024 bytes, or holds a control character: no log line and
/// no subscription can hold it.
///
/// # Errors
///
/// When the name is rejected.
pub(crate) fn check_name(what: &'static str, name: &str) -> Result<(), NameError> {
    if name.is_empty() || name.len() > MAX_NAME_LEN || name.chars().any(char::is_control) {
        return Err(NameError { what, name: name.to_owned() });
    }
    Ok(())
}
