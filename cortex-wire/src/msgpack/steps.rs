//! Measures the work of reading, for tests and fuzz targets: the bytes of each item, counted as often
//! as it is read, and one for each look-up of a frame.

#[cfg(any(test, fuzzing))]
use core::cell::Cell;

#[cfg(any(test, fuzzing))]
std::thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

#[cfg(any(test, fuzzing))]
pub(crate) fn count(bytes: usize) {
    STEPS.set(STEPS.get().wrapping_add(bytes));
}

#[cfg(not(any(test, fuzzing)))]
pub(crate) const fn count(_: usize) {}

/// The steps of this thread during `work`, and its result.
#[cfg(any(test, fuzzing))]
#[cfg_attr(test, expect(unreachable_pub, reason = "public for fuzz targets"))]
pub fn of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = STEPS.get();
    let result = work();
    (STEPS.get().wrapping_sub(before), result)
}
