#!/usr/bin/env bash
# The serial link with a million damaged frames: bits flipped, frames dropped, cut and doubled, up
# to 5 % each. `cargo test` does the same with a few thousand. Prints the seed; CORTEX_LINK_SEED
# repeats a run.
set -euo pipefail
cd "$(dirname "$0")/.."

CORTEX_LINK_DAMAGED=${CORTEX_LINK_DAMAGED:-1000000} \
    cargo test --quiet --release -p cortex-tests --test link -- --nocapture
