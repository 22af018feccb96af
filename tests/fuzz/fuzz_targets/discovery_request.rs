//! The body of a discovery request: rmpv finds the same in it.

#![no_main]

use cortex_fuzz::{limits, mutate, oracle};
use cortex_wire::DecodeErrorKind;
use cortex_wire::discovery::Request;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| {
    let theirs = oracle::discovery::request(data);
    let request = match (limits::borrowed(data.len(), 1, || Request::decode(data)), &theirs) {
        (Ok(request), _) => request,
        (Err(error), Some(_)) => return assert_eq!(error.kind, DecodeErrorKind::ReservedMarker),
        (Err(_), None) => return,
    };
    let ext = request.ext;
    let ours = (
        u64::from(request.command.code()),
        request.topic_name.map(str::to_owned),
        request.topic_info.map(cortex_fuzz::topic),
        (ext.layout, ext.lease_ms.map(u64::from), ext.shared),
    );
    assert_eq!(Some(ours), theirs);
    let bytes = encoded(&request);
    let again = Request::decode(&bytes).expect("what we encoded decodes");
    assert_eq!(again, request);
    assert_eq!(encoded(&again), bytes);
});

fuzz_mutator!(|data: &mut [u8], len: usize, max: usize, seed: u32| {
    mutate::within(data, len, max, seed, mutate::msgpack::tree)
});

fn encoded(request: &Request<'_>) -> Vec<u8> {
    let needed = request.encode(&mut []).expect_err("a map takes a byte").needed;
    let mut out = vec![0; needed];
    assert_eq!(request.encode(&mut out).expect("it fits").len(), needed);
    out
}
