//! The body of a discovery response.

#![no_main]

use cortex_wire::discovery::Response;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(response) = Response::decode(data) else { return };
    let bytes = encoded(&response);
    let again = Response::decode(&bytes).expect("what we encoded decodes");
    assert_eq!(again, response);
    assert_eq!(encoded(&again), bytes);
});

fn encoded(response: &Response<'_>) -> Vec<u8> {
    let needed = response.encode(&mut []).expect_err("a map takes a byte").needed;
    let mut out = vec![0; needed];
    assert_eq!(response.encode(&mut out).expect("it fits").len(), needed);
    out
}
