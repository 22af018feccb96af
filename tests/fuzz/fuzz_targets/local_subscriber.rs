//! A publisher to a subscriber of the local transport: bytes on a connection that gives them in pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| cortex_std::fuzz::subscriber(data));
