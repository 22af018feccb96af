#!/usr/bin/env bash
# Every Rust file is formatted as rustfmt.toml says.
. "$(dirname "$0")/bootstrap.sh"

cargo fmt --all --check
for package in cortex-bench/peers-rs tests/nostd tests/fuzz examples/firmware; do
    cargo fmt --manifest-path "$package/Cargo.toml" --check
done
