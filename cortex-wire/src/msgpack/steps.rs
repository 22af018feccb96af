//! How much work reading was: the bytes of every item read, as often as it was read.

use core::cell::Cell;

std::thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

pub(crate) fn count(bytes: usize) {
    STEPS.set(STEPS.get() + bytes);
}

/// The steps of this thread while `work` runs.
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = STEPS.get();
    let result = work();
    (STEPS.get() - before, result)
}
