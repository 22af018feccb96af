#!/usr/bin/env bash
# Runs cortex-wire's tests and tests/smoke (find, publish, subscribe, on ipc and tcp) for the
# machines that gateways are: aarch64 and armv7 Linux, emulated by qemu-user, with a standard
# library from source. `ci/arm.sh TARGET` runs one of them.
#
# For a user: rustup target add TARGET, and Debian's cross compiler as below.
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/debian-rustc.sh

install aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
install arm-linux-gnueabihf-g++ g++-arm-linux-gnueabihf
install qemu-aarch64 qemu-user
use_build_std
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=arm-linux-gnueabihf-gcc
export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_RUNNER="qemu-arm -L /usr/arm-linux-gnueabihf"
# Nothing is debugged or measured here, and this halves the time.
export CARGO_PROFILE_DEV_DEBUG=0

say "the toolchain is there"

targets=("$@")
[ $# -gt 0 ] || targets=(aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf)
for target in "${targets[@]}"; do
    test() {
        cargo test --quiet --locked -Zbuild-std --target "$target" --target-dir target/arm "$@"
    }
    test -p cortex-wire --features alloc --lib
    say "the tests of cortex-wire pass on $target"
    test -p cortex-smoke
    say "nodes find each other and exchange messages on $target"
done
