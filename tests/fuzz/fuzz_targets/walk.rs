//! Metadata of any type: walked and decoded alike, and the same after encoding.

#![no_main]

use cortex_fuzz::{Input, check_value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| check_value(&Input::new(data)));
