//! The body of a discovery response: rmpv finds the same in it.

#![no_main]

use cortex_fuzz::{limits, mutate, oracle};
use cortex_wire::DecodeErrorKind;
use cortex_wire::discovery::Response;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| {
    let theirs = oracle::discovery::response(data);
    let response = match (limits::borrowed(data.len(), 1, || Response::decode(data)), &theirs) {
        (Ok(response), _) => response,
        (Err(error), Some(_)) => return assert_eq!(error.kind, DecodeErrorKind::ReservedMarker),
        (Err(_), None) => return,
    };
    let ours = (
        u64::from(response.status.code()),
        response.message.to_owned(),
        response.topic_info.map(cortex_fuzz::topic),
        response.topics.into_iter().map(cortex_fuzz::topic).collect(),
        (response.ext.epoch, response.ext.layout),
    );
    assert_eq!(Some(ours), theirs);
    let bytes = encoded(&response);
    let again = Response::decode(&bytes).expect("what we encoded decodes");
    assert_eq!(again, response);
    assert_eq!(encoded(&again), bytes);
});

fuzz_mutator!(|data: &mut [u8], len: usize, max: usize, seed: u32| {
    mutate::within(data, len, max, seed, mutate::msgpack::tree)
});

fn encoded(response: &Response<'_>) -> Vec<u8> {
    let needed = response.encode(&mut []).expect_err("a map takes a byte").needed;
    let mut out = vec![0; needed];
    assert_eq!(response.encode(&mut out).expect("it fits").len(), needed);
    out
}
