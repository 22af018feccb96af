//! Metadata of any type: walked and decoded alike, as rmpv does, and the same after encoding.

#![no_main]

use cortex_fuzz::input::Input;
use cortex_fuzz::mutate;
use cortex_fuzz::roundtrip::check_value;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| check_value(&Input::new(data)));

fuzz_mutator!(|data: &mut [u8], len: usize, max: usize, seed: u32| {
    mutate::within(data, len, max, seed, mutate::msgpack::frames)
});
