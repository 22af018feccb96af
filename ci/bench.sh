#!/usr/bin/env bash
# The benchmarks run, and the codec allocates nothing. Ratios are printed to be read, not checked:
# this machine has other things to do.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p target/bench
cargo run --release -p cortex-bench -- codec latency images --quick --rounds 1 --no-python \
    --json target/bench/quick.json --svg target/bench
cargo run --release -p cortex-bench -- compare target/bench/quick.json target/bench/quick.json \
    >target/bench/compare.txt
python3 - target/bench/quick.json <<'PYTHON'
import json, sys

suites = {suite["name"]: suite for suite in json.load(open(sys.argv[1]))["suites"]}
if set(suites) != {"codec", "latency", "images"} or not all(suite["rows"] for suite in suites.values()):
    sys.exit(f"not everything was measured: {list(suites)}")
codec = suites["codec"]
column = [column["name"] for column in codec["columns"]].index("allocations")
allocating = [row for row in codec["rows"] if row["contender"] == "cortex-wire" and any(row["samples"][column])]
if allocating:
    sys.exit(f"cortex-wire allocates: {allocating}")
PYTHON
