#!/usr/bin/env bash
# Proves that cortex-std's `unsafe` code, all of it in src/transport/, and libzmq below it touch no
# freed or foreign memory and leak none while the tests of that folder run: frames that borrow from
# owners, loans, sockets that are moved between threads, awaited and closed.
#
# Address sanitizer with leak detection, in Rust and in libzmq's C++ alike: gcc's and rustc's
# instrumentation call the same runtime, which comes with the toolchain. RUSTC_BOOTSTRAP lets a stable
# rustc take -Z; the standard library itself is not instrumented, but its allocations are watched.
. "$(dirname "$0")/bootstrap.sh"

target=x86_64-unknown-linux-gnu
[ "$(rustc -vV | sed -n 's/^host: //p')" = "$target" ] || fail "runs on $target only"
install g++ g++
install addr2line binutils

export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes"
export CXXFLAGS_x86_64_unknown_linux_gnu="-fsanitize=address -O1 -g1"
# With --target the flags do not reach build scripts and macros, which run on their own.
cargo=(cargo test -p cortex-std --lib --target "$target" --target-dir target/sanitize)
"${cargo[@]}" --no-run || fail "cannot build the tests with the address sanitizer"

# libzmq adds and deletes what a SUB socket subscribed to by recursion, a call per byte, and a test has
# 100,000 bytes; instrumented calls need more stack than is usual, here and in libzmq's threads.
export RUST_MIN_STACK=$((64 << 20))
ulimit -s $((64 << 10)) || fail "cannot raise the limit of the stack"
export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_init_order=1
tests=$("${cargo[@]}" -- --list transport::) || fail "cannot list the tests"
grep -q ': test$' <<<"$tests" || fail "there are no tests named transport::"
timeout 120 "${cargo[@]}" -- transport:: || fail "a test failed or the address sanitizer found a fault, see above"
