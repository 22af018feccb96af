#!/usr/bin/env bash
# Searches for input that makes cortex-wire's decoders or the local transport's connections fail other than
# by an error, read other than rmpv and naive parsers do, take more memory or steps than they may, or that
# changes when the decoded value is encoded and decoded again. CONTRIBUTING.md tells how to use it.
#
#   ci/fuzz.sh [--time SECONDS] [--runs COUNT] [--jobs COUNT] [--asan] [--keep] [TARGET]...
#
# Without targets all of tests/fuzz, ten seconds each, from the kept corpus (made by
# tests/fuzz/seeds.py and, with --keep, extended by those found inputs that reach more code). A finding is written to
# target/fuzz/finding-TARGET-*; run the target's program with that file.
. "$(dirname "$0")/bootstrap.sh"

all=(frames walk blob tagged discovery_request discovery_response link zmtp local_publisher local_subscriber)
limit=-max_total_time=10 jobs=1 sanitizer=none keep=false
targets=()
number() {
    [[ ${2-} =~ ^[1-9][0-9]*$ ]] || fail "$1 needs a number"
}
while [ $# -gt 0 ]; do
    case $1 in
        --time) number "$@" && limit=-max_total_time=$2 && shift ;;
        --runs) number "$@" && limit=-runs=$2 && shift ;;
        --jobs) number "$@" && jobs=$2 && shift ;;
        --asan) sanitizer=address ;;
        --keep) keep=true ;;
        -*) fail "unknown option $1" ;;
        *) targets+=("$1") ;;
    esac
    shift
done
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")
for target in "${targets[@]}"; do
    [[ " ${all[*]} " == *" $target "* ]] || fail "unknown target $target; there are ${all[*]}"
done

install_crate cargo-fuzz
mkdir -p target/fuzz
output=target/fuzz/output
# A sanitizer needs what only nightly compilers offer without being asked; without one it finds the
# same, as cortex-wire forbids unsafe code, and ci/sanitize.sh runs that of cortex-std.
[ $sanitizer = none ] || export RUSTC_BOOTSTRAP=1
cargo fuzz build --sanitizer $sanitizer --fuzz-dir tests/fuzz \
    --target-dir "target/fuzz/$sanitizer" >"$output" 2>&1 ||
    { tail -n 40 "$output" >&2 && fail "the targets do not build"; }
programs=$PWD/target/fuzz/$sanitizer/$(rustc -vV | sed -n 's/^host: //p')/release
say "built"

# Runs a target from its corpora; what is new goes into the first.
run() {
    local target=$1
    mkdir -p "target/fuzz/found/$target" "target/fuzz/log/$target"
    rm -f "target/fuzz/log/$target"/*
    # The jobs write a log each into the folder that they run in.
    (cd "target/fuzz/log/$target" && "$programs/$target" "$limit" -max_len=4096 -timeout=5 \
        -print_final_stats=1 $([ "$jobs" = 1 ] || echo "-jobs=$jobs -workers=$jobs") \
        -artifact_prefix="$OLDPWD/target/fuzz/finding-$target-" \
        "$OLDPWD/target/fuzz/found/$target" "$OLDPWD/tests/fuzz/corpus/$target" >output 2>&1)
}

for target in "${targets[@]}"; do
    run "$target" || {
        tail -qn 40 "target/fuzz/log/$target"/* >&2
        fail "$target has a finding; run $programs/$target with target/fuzz/finding-$target-*"
    }
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "target/fuzz/log/$target"/* |
        paste -sd + )
    runs=$((runs))
    say "$target: $runs executions without a finding"
    if $keep; then
        "$programs/$target" -set_cover_merge=1 -use_counters=0 -max_len=400 "tests/fuzz/corpus/$target" \
            "target/fuzz/found/$target" >"$output" 2>&1 ||
            { tail -n 40 "$output" >&2 && fail "$target: the corpus cannot be minimised"; }
        say "$target: $(ls "tests/fuzz/corpus/$target" | wc -l) inputs are kept"
    fi
done
