//! The wall clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// The time in nanoseconds since the Unix epoch; 0 before it.
pub(crate) fn wall_clock_ns() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    match (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec)) {
        (Ok(seconds), Ok(rest)) => seconds.saturating_mul(1_000_000_000).saturating_add(rest),
        _ => 0,
    }
}

/// The time of a count of nanoseconds since the Unix epoch; `None` for 0.
pub(crate) fn system_time(ns: u64) -> Option<SystemTime> {
    (ns > 0).then(|| UNIX_EPOCH + Duration::from_nanos(ns))
}
