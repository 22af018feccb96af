#!/usr/bin/env bash
# The README's test command, and the tests of optional features.
. "$(dirname "$0")/bootstrap.sh"

cargo test --workspace
cargo test -p cortex-wire --all-features
cargo test -p cortex-wire --test derive
cargo test -p cortex-std --no-default-features --lib
# Alone this package is built without tokio.
cargo test -p cortex-smoke
# The same over libzmq's ipc.
CORTEX_TRANSPORT=zmq cargo test -p cortex-std -p cortex-tests
