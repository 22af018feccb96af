#!/usr/bin/env bash
# No warning in any package, target or set of features, and no example that discards an outcome.
. "$(dirname "$0")/bootstrap.sh"

cargo clippy --workspace --all-targets --all-features -- -D warnings
# Features only add: each alone, and none, builds without a warning as well.
for features in "" alloc std f16 complex ndarray serde defmt; do
    cargo clippy -p cortex-wire --no-default-features --features "$features" -- -D warnings
done
cargo clippy -p cortex-std --no-default-features --all-targets -- -D warnings

# What users copy shows how errors are handled.
discarded=$(git grep --untracked -nE 'let _ =|\.map\(drop\)|Ok::<\(' -- 'examples/*.rs' docs/src '*README.md') &&
    fail "examples and book discard outcomes:"$'\n'"$discarded"
say "no example discards an outcome"
