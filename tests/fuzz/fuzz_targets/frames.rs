//! Header, metadata and buffers, decoded as every standard type, as types of users, and as a value of
//! any type; rmpv reads the same.

#![no_main]

use cortex_fuzz::input::Input;
use cortex_fuzz::roundtrip::{check_type, check_value};
use cortex_fuzz::{for_every_standard_type, mutate, oracle, types};
use cortex_wire::{Header, find_type, standard};
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| {
    let input = Input::new(data);
    if let Ok(header) = Header::decode(input.header) {
        assert_eq!(header.encode(), input.header);
        let _ = find_type(standard::TYPES, header.fingerprint).map(|info| info.name());
    }
    for_every_standard_type!(check_type(&input));
    let theirs = oracle::value::metadata(input.metadata, &input.buffers);
    types::check(&input, theirs.as_ref());
    check_value(&input);
});

fuzz_mutator!(|data: &mut [u8], len: usize, max: usize, seed: u32| {
    mutate::within(data, len, max, seed, mutate::msgpack::frames)
});
