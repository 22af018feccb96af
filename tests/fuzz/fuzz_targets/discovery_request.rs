//! The body of a discovery request.

#![no_main]

use cortex_wire::discovery::Request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(request) = Request::decode(data) else { return };
    let bytes = encoded(&request);
    let again = Request::decode(&bytes).expect("what we encoded decodes");
    assert_eq!(again, request);
    assert_eq!(encoded(&again), bytes);
});

fn encoded(request: &Request<'_>) -> Vec<u8> {
    let needed = request.encode(&mut []).expect_err("a map takes a byte").needed;
    let mut out = vec![0; needed];
    assert_eq!(request.encode(&mut out).expect("it fits").len(), needed);
    out
}
