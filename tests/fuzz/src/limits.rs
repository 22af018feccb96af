//! Limits of what decoding may take: bytes of memory, and steps.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use cortex_wire::msgpack::steps;

/// Counts the bytes that this thread allocates.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: passes every call on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get().wrapping_add(layout.size()));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Steps for each byte of input: each byte is read for its own item and, in search of a descriptor's
/// key, for the enclosing map and the one around that; the bytes of a descriptor once more.
const STEPS: usize = 4;

/// Bytes of memory for each byte of metadata in owned values: an `OwnedValue` for one byte, in a
/// vector that has grown to twice its content, from half of it.
const OWNED: usize = 4 * size_of::<cortex_wire::OwnedValue>();

fn measured<T>(work: impl FnOnce() -> T) -> (usize, usize, T) {
    let before = ALLOCATED.get();
    let (steps, result) = steps::of(work);
    (ALLOCATED.get().wrapping_sub(before), steps, result)
}

/// Runs `work`, which reads `len` bytes up to `passes` times and must not allocate.
#[track_caller]
pub fn borrowed<T>(len: usize, passes: usize, work: impl FnOnce() -> T) -> T {
    let (allocated, steps, result) = measured(work);
    assert_eq!(allocated, 0, "bytes allocated without a need");
    let limit = STEPS * passes * (len + 64);
    assert!(steps <= limit, "{steps} steps for {len} bytes");
    result
}

/// Runs `work`, which copies `len` bytes of metadata, and arrays from `buffers` bytes.
#[track_caller]
pub fn owned<T>(len: usize, buffers: usize, work: impl FnOnce() -> T) -> T {
    let (allocated, steps, result) = measured(work);
    let limit = OWNED * (len + 64) + (4 * buffers).max(64 << 10);
    assert!(allocated <= limit, "{allocated} bytes allocated for {len} and {buffers} of buffers");
    let limit = 2 * STEPS * (len + 64) + len;
    assert!(steps <= limit, "{steps} steps for {len} bytes");
    result
}
