//! The wall clock, and times as text.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch, by this machine's clock.
pub(crate) fn wall_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// A timestamp in UTC, as RFC 3339 writes it.
pub(crate) fn utc(timestamp_ns: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_nanos(timestamp_ns));
    time.map_or_else(
        || timestamp_ns.to_string(),
        |time| humantime::format_rfc3339_nanos(time).to_string(),
    )
}

/// A duration in seconds as text: three significant digits, in us, ms or s.
pub(crate) fn duration(seconds: f64) -> String {
    let size = seconds.abs();
    let (value, unit) = match size {
        _ if size < 1e-3 => (seconds * 1e6, "us"),
        _ if size < 1.0 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    match value.abs() {
        size if size < 10.0 => format!("{value:.2} {unit}"),
        size if size < 100.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_a_unit() {
        for (seconds, text) in
            [(0.0000123, "12.3 us"), (0.5, "500 ms"), (2.0, "2.00 s"), (-0.002, "-2.00 ms")]
        {
            assert_eq!(duration(seconds), text);
        }
    }
}
