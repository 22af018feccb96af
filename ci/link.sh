#!/usr/bin/env bash
# The serial link with a million damaged frames: bits flipped, frames dropped, cut and doubled, up
# to 5 % each. `cargo test` does the same with a few thousand. Prints the seed; CORTEX_LINK_SEED
# repeats a run.
. "$(dirname "$0")/bootstrap.sh"

# The test's own package needs libzmq for other tests; this one has the dependencies of this test.
package=target/link/package
mkdir -p $package/src
cat >$package/Cargo.toml <<'MANIFEST'
[package]
name = "cortex-tests"
edition = "2024"

[workspace]

[[test]]
name = "link"
path = "../../../tests/codec/link.rs"

[dependencies]
cortex-wire = { path = "../../../cortex-wire" }
MANIFEST
touch $package/src/lib.rs
lock_package $package
CORTEX_LINK_DAMAGED=${CORTEX_LINK_DAMAGED:-1000000} \
    cargo test --quiet --release --locked --manifest-path $package/Cargo.toml \
    --target-dir target/link --test link -- --nocapture
