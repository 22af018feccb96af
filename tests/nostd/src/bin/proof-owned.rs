//! Links with a panic handler and an allocator; `ci/proof.py` reads from its code that functions of owned
//! types reach the panic handler only where an allocation fails.

#![no_std]
#![no_main]
#![feature(alloc_error_handler)]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    cortex_wire_panics()
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn cortex_wire_panics() -> ! {
    loop {
        black_box(());
    }
}

/// Apart from the panic handler, which the default calls.
#[alloc_error_handler]
fn out_of_memory(layout: Layout) -> ! {
    loop {
        black_box(layout.size());
    }
}

struct Anywhere;

// SAFETY: never run.
unsafe impl GlobalAlloc for Anywhere {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        black_box(layout.align() as *mut u8)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, _: Layout) {
        black_box(pointer);
    }
}

#[global_allocator]
static ANYWHERE: Anywhere = Anywhere;

#[cfg(not(target_os = "none"))]
#[link(name = "c")]
unsafe extern "C" {}

// SAFETY: the only function of this name; a C library's start code calls it as `main`.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    cortex_nostd::owned::everything();
    0
}
