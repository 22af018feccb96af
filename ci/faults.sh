#!/usr/bin/env bash
# A graph of six nodes under random faults: ci/faults.sh [COUNT [SEED]]. 200 faults take some minutes.
. "$(dirname "$0")/bootstrap.sh"

export CORTEX_FAULTS="${1:-40}"
if [ $# -gt 1 ]; then
    export CORTEX_FAULTS_SEED="$2"
fi
cargo test -p cortex-tests --test healing -- --nocapture
