//! A program of which nothing counts but the function that it measures: entry, stack, output.
//!
//! It runs under qemu-arm, whose stack is ordinary memory and whose calls are those of Linux.

use core::arch::asm;
use core::hint::black_box;
use core::ptr::{read_volatile, write_volatile};

/// Makes a program that prints how many bytes of stack `$function` takes, beside `$buffers` bytes of
/// its own.
#[macro_export]
macro_rules! size_of_stack {
    ($function:path) => {
        $crate::size_of_stack!($function, beside 0);
    };
    ($function:path, beside $buffers:expr) => {
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            loop {}
        }

        // SAFETY: the only function of this name.
        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            $crate::size::report($crate::size::measure($function).saturating_sub($buffers))
        }
    };
}

const PAINT: u32 = 0xa5a5_5a5a;
const PAINTED_WORDS: usize = 4096;

/// Paints the stack below, calls `function`, and returns how many bytes down the paint is gone;
/// 0 where the function failed.
#[inline(never)]
pub fn measure(function: fn() -> bool) -> usize {
    let top: *mut u32;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, sp", out(reg) top, options(nomem, nostack)) };
    for word in 1..=PAINTED_WORDS {
        // SAFETY: the stack is larger, and nothing below its pointer is in use.
        unsafe { write_volatile(top.wrapping_sub(word), PAINT) };
    }
    let done = black_box(function)();
    let mut word = PAINTED_WORDS;
    // SAFETY: as above.
    while word > 0 && unsafe { read_volatile(top.wrapping_sub(word)) } == PAINT {
        word -= 1;
    }
    if done { word * size_of::<u32>() } else { 0 }
}

/// Writes a number to standard output and ends the program.
pub fn report(number: usize) -> ! {
    let mut line = *b"00000\n";
    let mut rest = number;
    for digit in line.iter_mut().take(5).rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    // SAFETY: Linux's `write`, number 4, and `exit`, number 1; neither returns here.
    unsafe {
        asm!(
            "mov r7, #4", "svc 0", "mov r0, #0", "mov r7, #1", "svc 0",
            in("r0") 1, in("r1") line.as_ptr(), in("r2") line.len(),
            options(noreturn),
        );
    }
}
