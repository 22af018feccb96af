#!/usr/bin/env bash
# Proves that the fuzz targets find faults: each fault below is planted into a copy of cortex-wire, and
# a target must find it within a minute. `ci/nostd.sh` does the same for the link proof.
. "$(dirname "$0")/bootstrap.sh"

install_crate cargo-fuzz
copy=target/planted
host=$(rustc -vV | sed -n 's/^host: //p')

# Builds a target with a fault and runs it: finds TARGET FAULT FILE BEFORE AFTER
finds() {
    local target=$1 fault=$2 start
    copy_tree $copy
    plant "$copy/$3" "$4" "$5"
    cargo fuzz build --sanitizer none --fuzz-dir $copy/tests/fuzz --target-dir target/fuzz/planted \
        "$target" >target/fuzz/output 2>&1 ||
        { tail -n 40 target/fuzz/output >&2 && fail "$target does not build where $fault"; }
    rm -rf target/fuzz/found-planted
    mkdir -p target/fuzz/found-planted
    start=$SECONDS
    ! "target/fuzz/planted/$host/release/$target" -max_total_time=60 -max_len=4096 -timeout=5 \
        -artifact_prefix=target/fuzz/found-planted/ target/fuzz/found-planted \
        "tests/fuzz/corpus/$target" >target/fuzz/output 2>&1 ||
        fail "$target does not find in a minute that $fault"
    say "$target finds that $fault, in $((SECONDS - start)) s"
}

mkdir -p target/fuzz
finds frames 'a buffer longer than its shape is accepted' \
    cortex-wire/src/coding/descriptor.rs '(shape.byte_len(dtype)? == data.len())' \
    '(shape.byte_len(dtype)? <= data.len())'
finds link 'a bad checksum is accepted for long bodies' \
    cortex-wire/src/stream/link/receiver.rs 'if expected != found {' \
    'if expected != found && self.len < 100 {'
finds zmtp 'six bytes of a long length are ignored' \
    cortex-wire/src/stream/zmtp/frame.rs 'len: u64::from_be_bytes(*len) }' \
    'len: u64::from_be_bytes(*len) & 0xffff }'
finds discovery_response 'a key that a body has twice is accepted' \
    cortex-wire/src/msgpack/once.rs 'if self.value.is_some() {' 'if false {'
