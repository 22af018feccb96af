//! The wall clock, and times as text.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Timestamps before this one, of 9 September 2001, count from the start of a device and not from the
/// Unix epoch: the sender's clock is not set.
const FIRST_SET_NS: u64 = 1_000_000_000_000_000_000;

/// The age of a message: the time of its arrival by this machine's clock minus its timestamp by the
/// sender's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// The clocks allow a statement.
    Known(Duration),
    /// The timestamp is later than the arrival: the clocks differ.
    Early(Duration),
    /// The timestamp does not count from the Unix epoch.
    ClockNotSet,
}

impl Age {
    pub(crate) fn new(received_ns: u64, timestamp_ns: u64) -> Self {
        match received_ns.checked_sub(timestamp_ns) {
            _ if timestamp_ns < FIRST_SET_NS => Self::ClockNotSet,
            Some(age) => Self::Known(Duration::from_nanos(age)),
            None => Self::Early(Duration::from_nanos(timestamp_ns.saturating_sub(received_ns))),
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(age) => write!(f, "+{}", duration(age.as_secs_f64())),
            Self::Early(early) => {
                let early = duration(early.as_secs_f64());
                write!(f, "{early} in the future: the clocks differ")
            }
            Self::ClockNotSet => f.write_str("the sender's clock is not set"),
        }
    }
}

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

    #[test]
    fn the_age_of_a_message_is_told_only_if_the_clocks_allow_it() {
        let now = 1_800_000_000_000_000_000;
        for (timestamp_ns, expected) in [
            (now - 3_000_000, "+3.00 ms"),
            (now - 3_600_000_000_000, "+3600 s"),
            (now + 2_500_000_000, "2.50 s in the future: the clocks differ"),
            // A board that counts from its start.
            (5_000_000_000, "the sender's clock is not set"),
            (0, "the sender's clock is not set"),
            (u64::MAX, "16646744074 s in the future: the clocks differ"),
        ] {
            assert_eq!(Age::new(now, timestamp_ns).to_string(), expected);
        }
    }
}
