//! The libzmq that this program is linked with.

use std::ffi::{CString, c_int};

/// Major, minor, patch.
pub(crate) fn version() -> (u32, u32, u32) {
    let (mut major, mut minor, mut patch): (c_int, c_int, c_int) = (0, 0, 0);
    // SAFETY: libzmq writes to the three places and keeps none of them.
    unsafe { zmq_sys::zmq_version(&raw mut major, &raw mut minor, &raw mut patch) };
    let part = |part: c_int| u32::try_from(part).unwrap_or(0);
    (part(major), part(minor), part(patch))
}

/// Whether it was built with a capability, by libzmq's name of it.
pub(crate) fn has(capability: &str) -> bool {
    let Ok(name) = CString::new(capability) else { return false };
    // SAFETY: the name ends with NUL and is only read during the call.
    unsafe { zmq_sys::zmq_has(name.as_ptr()) == 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_tells_its_version_and_what_it_can_do() {
        assert!(version() >= (4, 3, 0));
        assert!(has("ipc"));
        assert!(!has("no such thing") && !has("ipc\0"));
    }
}
