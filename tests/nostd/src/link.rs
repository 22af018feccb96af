//! What a program without std needs to be linked for the machine that it is compiled on.
//!
//! Nothing here is ever run.

/// Makes the symbol that the linker starts from, and a panic handler and an allocator that call
/// functions which are nowhere.
///
/// What can panic therefore does not link for `cortex_wire_panics`, what can allocate not for
/// `cortex_wire_allocates`.
#[macro_export]
macro_rules! link_proof {
    ($main:expr) => {
        extern crate alloc;

        unsafe extern "C" {
            fn cortex_wire_panics() -> !;
            fn cortex_wire_allocates() -> *mut u8;
        }

        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            // SAFETY: never linked, so never called.
            unsafe { cortex_wire_panics() }
        }

        struct Nowhere;

        // SAFETY: never linked, so never called.
        unsafe impl core::alloc::GlobalAlloc for Nowhere {
            unsafe fn alloc(&self, _: core::alloc::Layout) -> *mut u8 {
                unsafe { cortex_wire_allocates() }
            }

            unsafe fn dealloc(&self, _: *mut u8, _: core::alloc::Layout) {
                unsafe { cortex_wire_allocates() };
            }
        }

        #[global_allocator]
        static NOWHERE: Nowhere = Nowhere;

        // memcpy and its like, where the target has a C library.
        #[cfg(not(target_os = "none"))]
        #[link(name = "c")]
        unsafe extern "C" {}

        // SAFETY: the only function of this name; a C library's start code calls it as `main`.
        #[cfg_attr(target_os = "none", unsafe(export_name = "_start"))]
        #[cfg_attr(not(target_os = "none"), unsafe(export_name = "main"))]
        extern "C" fn main() -> i32 {
            $main();
            0
        }
    };
}
