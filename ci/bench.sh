#!/usr/bin/env bash
# The benchmarks run, and the codec allocates nothing. Ratios are printed to be read, not checked:
# this machine has other things to do.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p target/bench
cargo run --release -p cortex-bench -- codec --quick --json target/bench/codec.json
python3 - target/bench/codec.json <<'PYTHON'
import json, sys

suites = json.load(open(sys.argv[1]))["suites"]
rows = [row for _, suite in suites for row in suite]
allocating = [row for row in rows if row["contender"] == "cortex-wire" and row["allocations"] > 0]
if not rows or allocating:
    sys.exit(f"cortex-wire allocates, or nothing was measured: {allocating}")
PYTHON
