#!/usr/bin/env bash
# The benchmarks run, and the codec allocates nothing. Ratios are printed to be read, not checked:
# this machine has other things to do.
. "$(dirname "$0")/bootstrap.sh"

mkdir -p target/bench
cargo run --release -p cortex-bench -- codec serialization latency images --quick --rounds 1 --no-python \
    --json target/bench/quick.json --svg target/bench
cargo run --release -p cortex-bench -- compare target/bench/quick.json target/bench/quick.json \
    >target/bench/compare.txt
cargo run --release -p cortex-bench -- report target/bench/quick.json >target/bench/report.md
python3 - target/bench/quick.json <<'PYTHON'
import json, sys

suites = {suite["name"]: suite for suite in json.load(open(sys.argv[1]))["suites"]}
wanted = {"codec", "serialization", "latency", "images"}
if set(suites) != wanted or not all(suite["rows"] for suite in suites.values()):
    sys.exit(f"not everything was measured: {list(suites)}")
for suite in suites["codec"], suites["serialization"]:
    column = [column["name"] for column in suite["columns"]].index("allocations")
    rows = [row for row in suite["rows"] if row["contender"] == "cortex-wire"]
    allocating = [row for row in rows if any(row["samples"][column])]
    if allocating or not rows:
        sys.exit(f"cortex-wire allocates: {allocating}")
PYTHON
