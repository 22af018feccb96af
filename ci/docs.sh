#!/usr/bin/env bash
# The API documentation builds without a warning: no dead link, no undocumented item.
. "$(dirname "$0")/bootstrap.sh"

RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features
