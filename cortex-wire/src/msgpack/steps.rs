//! Measures the work of reading: the bytes of each item, counted as often as it is read.

use core::cell::Cell;

std::thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

pub(crate) fn count(bytes: usize) {
    STEPS.set(STEPS.get() + bytes);
}

/// The steps of this thread during `work`, and its result.
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = STEPS.get();
    let result = work();
    (STEPS.get() - before, result)
}
