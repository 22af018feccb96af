//! A peer of a publisher of the local transport: bytes on a connection that accepts and gives them in pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| cortex_std::fuzz::publisher(data));
