#!/usr/bin/env bash
# The API documentation builds without a warning: no dead link, no item without a word.
. "$(dirname "$0")/bootstrap.sh"

RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features
