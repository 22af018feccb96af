//! The clocks of all measurements.

/// CPU time of this process.
pub(crate) fn cpu_seconds() -> f64 {
    seconds(rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime))
}

/// Nanoseconds of the monotonic clock, which is the same for all processes of a machine.
pub(crate) fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn seconds(time: rustix::time::Timespec) -> f64 {
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Waits without sleeping, for periods that are shorter than a wake-up takes.
pub(super) fn spin_until_ns(at: u64) {
    while monotonic_ns() < at {
        std::hint::spin_loop();
    }
}

/// Sleeps until a time of [`monotonic_ns`].
pub(crate) fn sleep_until_ns(at: u64) {
    let at = rustix::time::Timespec {
        tv_sec: i64::try_from(at / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (at % 1_000_000_000) as _,
    };
    let clock = rustix::thread::ClockId::Monotonic;
    while rustix::thread::clock_nanosleep_absolute(clock, &at) == Err(rustix::io::Errno::INTR) {}
}
