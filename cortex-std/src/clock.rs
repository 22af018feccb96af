//! The wall clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time in nanoseconds since the Unix epoch; 0 before it.
pub(crate) fn wall_clock_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// The time of a count of nanoseconds since the Unix epoch; `None` for 0.
pub(crate) fn system_time(ns: u64) -> Option<SystemTime> {
    (ns > 0).then(|| UNIX_EPOCH + Duration::from_nanos(ns))
}
