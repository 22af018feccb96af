//! Header, metadata and buffers, decoded as every standard type and as a value of any type.

#![no_main]

use cortex_fuzz::{Input, check_type, check_value, for_every_standard_type};
use cortex_wire::{Header, find_type, standard};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let input = Input::new(data);
    if let Ok(header) = Header::decode(input.header) {
        assert_eq!(header.encode(), input.header);
        let _ = find_type(standard::TYPES, header.fingerprint).map(|info| info.name());
    }
    for_every_standard_type!(check_type(&input));
    check_value(&input);
});
