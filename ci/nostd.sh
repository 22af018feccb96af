#!/usr/bin/env bash
# Proves that no public encode or decode function of cortex-wire panics or allocates.
#
# tests/nostd holds a program that calls all of them and whose panic handler and allocator call
# functions that do not exist: it links only where neither can be reached. Two more programs with
# a planted fault each must not link, and for that fault alone. First on this machine with the
# stable toolchain, then for a Cortex-M4 without std, whose usize has 32 bits.
#
# It does not prove that no stack overflows; ci/size.sh measures what the codec takes.
. "$(dirname "$0")/bootstrap.sh"

package=tests/nostd/Cargo.toml
output=target/nostd/output
mkdir -p target/nostd
thumb=thumbv7em-none-eabihf

# Builds one program: build PROGRAM [CARGO ARGUMENT]...
build() {
    local program=$1
    shift
    cargo build --locked --release --manifest-path "$package" --target-dir target/nostd \
        --bin "$program" "$@" >"$output" 2>&1
}

# The undefined functions of ours that the linker complained about.
undefined() {
    grep -oE 'undefined (symbol: |reference to .)cortex_wire_[a-z]+' "$output" |
        grep -oE 'cortex_wire_[a-z]+' | sort -u | paste -sd ' '
}

links() {
    build proof "$@" && return
    [ -n "$(undefined)" ] || { tail -n 40 "$output" >&2 && fail "the proof does not build"; }
    fail "the proof does not link${*:+ with $*}: $(undefined) is reachable"
}

# The program with a planted fault, and the function that must be all that its link lacks.
links_not() {
    local program=$1 expected=$2
    shift 2
    ! build "$program" "$@" || fail "$program links: the proof proves nothing"
    [ "$(undefined)" = "$expected" ] ||
        { tail -n 40 "$output" >&2 && fail "$program does not link, but not for $expected"; }
}

all() {
    links "$@"
    links --features all "$@"
    links_not planted-panic cortex_wire_panics "$@"
    links_not planted-allocation cortex_wire_allocates "$@"
}

all
say "links without panic and allocation on this machine; both planted faults do not link"

use_build_std
# Here `core` is compiled from source, by this profile too, and it is shipped without the checks.
export CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=false
all -Zbuild-std=core,alloc --target $thumb
say "the same for $thumb"
