//! What the other two hold beside the codec.

#![no_std]
#![no_main]

use core::hint::black_box;

cortex_nostd::size_of_stack!(nothing);

fn nothing() -> bool {
    black_box(true)
}
