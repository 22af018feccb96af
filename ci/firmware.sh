#!/usr/bin/env bash
# The example firmware in QEMU, its UART on a TCP port, the gateway, a daemon and a Python peer:
# 1,000 IMU readings and 100 images arrive in order and equal to what the firmware computes, a
# command changes the rate, and data flows again after the board is reset and the gateway replaced.
#
# For a user who has the target it is `cargo run` in examples/firmware; here Debian's packages do.
. "$(dirname "$0")/bootstrap.sh"

install qemu-system-arm qemu-system-arm
target=thumbv7em-none-eabihf
mkdir -p target/firmware
(
    use_build_std
    cd examples/firmware
    cargo build --locked --release -Zbuild-std=core --target $target \
        --target-dir ../../target/firmware >../../target/firmware/output 2>&1
) || { tail -n 40 target/firmware/output >&2 && fail "the firmware does not build"; }
say "built"

CORTEX_FIRMWARE=$PWD/target/firmware/$target/release/cortex-firmware \
    cargo test --quiet --locked -p cortex-cli --test firmware -- --ignored --nocapture
say "the firmware is a node of the graph"
