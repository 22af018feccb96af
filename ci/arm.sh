#!/usr/bin/env bash
# Runs cortex-wire's tests and tests/smoke (find, publish, subscribe, on ipc and tcp) for the
# machines that gateways are: aarch64 and armv7 Linux, emulated by qemu-user, with a standard
# library from source. `ci/arm.sh TARGET` runs one of them.
#
# For a user: rustup target add TARGET, and Debian's cross compiler as below.
. "$(dirname "$0")/bootstrap.sh"

use_emulator aarch64-unknown-linux-gnu aarch64-linux-gnu-g++ qemu-aarch64 g++-aarch64-linux-gnu
use_emulator armv7-unknown-linux-gnueabihf arm-linux-gnueabihf-g++ qemu-arm g++-arm-linux-gnueabihf
say "the toolchain is there"

targets=("$@")
[ $# -gt 0 ] || targets=(aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf)
for target in "${targets[@]}"; do
    test() {
        cargo test --quiet --locked -Zbuild-std --target "$target" --target-dir target/arm "$@"
    }
    test -p cortex-wire --features alloc --lib
    say "the tests of cortex-wire pass on $target"
    test -p cortex-smoke --test smoke
    say "nodes find each other and exchange messages on $target"
done
