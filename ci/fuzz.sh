#!/usr/bin/env bash
# Searches for input that makes cortex-wire's decoders or the local transport's connections fail other than
# by an error, or that changes when the decoded value is encoded and decoded again. A few seconds for each target of tests/fuzz, from the kept
# corpus (made by tests/fuzz/seeds.py); `ci/fuzz.sh --runs N` runs each N times instead, and
# `ci/fuzz.sh --runs N TARGET...` some of them.
#
# A finding is written to target/fuzz/finding-TARGET-*; run the target's program with that file.
. "$(dirname "$0")/bootstrap.sh"

limit=-max_total_time=10
if [ "${1-}" = --runs ]; then
    [[ ${2-} =~ ^[0-9]+$ ]] || fail "--runs needs a number"
    limit=-runs=$2
    shift 2
fi
targets=("$@")
[ $# -gt 0 ] ||
    targets=(frames walk blob tagged discovery_request discovery_response link zmtp
        local_publisher local_subscriber)

install_crate cargo-fuzz
mkdir -p target/fuzz
output=target/fuzz/output
# Without a sanitizer, which a stable compiler does not have: cortex-wire forbids unsafe code, and
# ci/sanitize.sh runs that of cortex-std.
cargo fuzz build --sanitizer none --fuzz-dir tests/fuzz --target-dir target/fuzz \
    >"$output" 2>&1 || { tail -n 40 "$output" >&2 && fail "the targets do not build"; }
programs=target/fuzz/$(rustc -vV | sed -n 's/^host: //p')/release
say "built"

for target in "${targets[@]}"; do
    mkdir -p "target/fuzz/found/$target"
    "$programs/$target" "$limit" -max_len=1024 -timeout=5 -print_final_stats=1 \
        -artifact_prefix="target/fuzz/finding-$target-" \
        "target/fuzz/found/$target" "tests/fuzz/corpus/$target" >"$output" 2>&1 ||
        { tail -n 40 "$output" >&2 && fail "$target has a finding"; }
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$output")
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$output")
    say "$target: $runs executions without a finding, $rate/s"
done
