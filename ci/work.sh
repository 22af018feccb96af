#!/usr/bin/env bash
# Proves that the work of reading is proportional to the input on a board: the inputs that cost most
# for their length, and inputs four times as long, are read in every way by a Cortex-M4 in QEMU, which
# counts its instructions. None may take more than 4.4 times as many.
#
# `cargo test -p cortex-wire bounds` counts the steps for the same inputs on this machine.
. "$(dirname "$0")/bootstrap.sh"

install qemu-system-arm qemu-system-arm
use_build_std
# Instructions do not depend on it, and a board would not have them.
export CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=false
mkdir -p target/nostd
cargo build --locked --release -Zbuild-std=core --manifest-path tests/nostd/Cargo.toml \
    --target thumbv7em-none-eabihf --target-dir target/nostd --features board --bin work \
    >target/nostd/output 2>&1 ||
    { tail -n 40 target/nostd/output >&2 && fail "the program does not build"; }
say "built"

# An instruction takes 4 ns of the emulated clock, and a tick of the counter 40 ns.
timeout 300 qemu-system-arm -M mps2-an386 -nographic -monitor none -serial null -icount shift=2 \
    -semihosting-config enable=on,target=native \
    -kernel target/nostd/thumbv7em-none-eabihf/release/work >target/nostd/output ||
    { cat target/nostd/output >&2 && fail "work grows faster than the input"; }
say "$(tail -n 1 target/nostd/output)"
