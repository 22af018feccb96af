#!/usr/bin/env bash
# Runs cortex-wire's tests and tests/smoke.rs (find, publish, subscribe, on ipc and tcp) for the
# machines that gateways are: aarch64 and armv7 Linux, emulated by qemu-user, with a standard
# library from source.
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
# Nothing is debugged here, and this halves the time.
export CARGO_PROFILE_DEV_DEBUG=0

say "the toolchain is there"

# The package of this test needs much more for others; this one has what it takes.
package=target/arm/smoke
mkdir -p $package/src
cp Cargo.lock $package/
cat >$package/Cargo.toml <<'MANIFEST'
[package]
name = "cortex-tests"
edition = "2024"

[workspace]

[[test]]
name = "smoke"
path = "../../../tests/smoke.rs"

[dependencies]
cortex-std = { path = "../../../cortex-std" }
tempfile = "3"
MANIFEST
touch $package/src/lib.rs
# Drops from the copied lock what is not needed here, and keeps the versions of the rest.
cargo update --quiet --workspace --offline --manifest-path $package/Cargo.toml ||
    cargo update --quiet --workspace --manifest-path $package/Cargo.toml

for target in aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf; do
    test() {
        cargo test --quiet --locked -Zbuild-std --target $target --target-dir target/arm "$@"
    }
    test -p cortex-wire --features alloc --lib
    say "the tests of cortex-wire pass on $target"
    test --manifest-path $package/Cargo.toml --test smoke
    say "nodes find each other and exchange messages on $target"
done
