#!/usr/bin/env bash
# A thousand idle subscribers, a hundred thousand reconnections, a thousand nodes, a thousand killed processes
# that share memory, and subscribers that stop reading leave no descriptor, no thread and no memory behind.
. "$(dirname "$0")/bootstrap.sh"

export CORTEX_LEAKS=full
cargo test -p cortex-tests --test graph -- leaks:: kills:: --test-threads=1 --nocapture
