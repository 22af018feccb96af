#!/usr/bin/env bash
# The unit tests of cortex-wire in Miri, which finds undefined behaviour in what the crate builds on:
# heapless, bytemuck and the standard library. Only the modules that use them for more than copies, as
# Miri takes minutes for the long inputs of the others. Miri comes with nightly toolchains only, so where there is none this says so.
. "$(dirname "$0")/bootstrap.sh"

if ! cargo +nightly miri --version >/dev/null 2>&1; then
    say "skipped: there is no nightly toolchain with the component miri"
    exit 0
fi
mkdir -p target/miri
MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --quiet -p cortex-wire --features alloc --lib \
    --target-dir target/miri -- array:: value:: coding:: multipart hello >target/miri/output 2>&1 ||
    { tail -n 40 target/miri/output >&2 && fail "Miri finds a fault"; }
say "$(grep '^test result' target/miri/output)"
