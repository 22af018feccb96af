#!/usr/bin/env bash
# Proves that no public function of cortex-wire panics, and that none allocates but those of owned types.
#
# tests/nostd holds a program that calls all of them and whose panic handler and allocator call
# functions that do not exist: it links only where neither can be reached. Two more programs with
# a planted fault each must not link, and for that fault alone. First on this machine with the
# stable toolchain, then for a Cortex-M4 without std, whose usize has 32 bits. Owned types are in a
# program of their own, of whose code ci/proof.py reads that it panics only where an allocation fails,
# and with them futures, which may also panic where they are polled after their end.
#
# ci/proof.py also compares the functions that rustdoc lists with those that the programs reach, and a
# panic that is planted into a copy of the codec must fail the proof.
#
# It does not prove that no stack overflows; ci/size.sh measures what the codec takes.
. "$(dirname "$0")/bootstrap.sh"

package=tests/nostd/Cargo.toml
output=$PWD/target/nostd/output
built=$PWD/target/nostd
mkdir -p target/nostd
thumb=thumbv7em-none-eabihf

# Builds one program: build PROGRAM [CARGO ARGUMENT]...
build() {
    local program=$1
    shift
    cargo build --locked --release --manifest-path "$package" --target-dir "$built" \
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

# Whether the program of owned types panics only where an allocation fails.
owned() {
    # Only then a program has a handler of failed allocations, apart from that of panics.
    local -x RUSTC_BOOTSTRAP=1
    build proof-owned --features analysed || { tail -n 40 "$output" >&2 && fail "proof-owned does not build"; }
    objdump -d --no-show-raw-insn --demangle "$built/release/proof-owned" >"$built/disassembly"
    python3 ci/proof.py panics "$built/disassembly"
}

# A panic that is planted into a copy of the codec must fail the proof: planted FILE BEFORE AFTER
planted() {
    copy_tree target/planted
    plant "target/planted/$1" "$2" "$3"
    if (package=target/planted/tests/nostd/Cargo.toml && build proof --features all); then
        ! (package=target/planted/tests/nostd/Cargo.toml && owned >/dev/null) ||
            fail "the proof holds with a panic in $1"
    elif [ "$(undefined)" != cortex_wire_panics ]; then
        tail -n 40 "$output" >&2
        fail "the proof does not build with a panic in $1"
    fi
}

install objdump binutils
all
say "links without panic and allocation on this machine; both planted faults do not link"

owned || fail "an owned type panics"

RUSTC_BOOTSTRAP=1 cargo rustdoc --quiet --locked -p cortex-wire --lib \
    --features alloc,async,complex,f16 --target-dir target/nostd/doc -- \
    -Zunstable-options --output-format json >"$output" 2>&1 ||
    { tail -n 40 "$output" >&2 && fail "the list of functions cannot be made"; }
rm -rf target/nostd/reached
cargo rustc --quiet --locked --manifest-path "$package" --target-dir target/nostd/reached --lib \
    --features analysed -- --emit=obj -C codegen-units=1 -C symbol-mangling-version=v0 >"$output" 2>&1 ||
    { tail -n 40 "$output" >&2 && fail "the proof does not build"; }
nm --demangle target/nostd/reached/debug/deps/cortex_nostd-*.o >target/nostd/functions
python3 ci/proof.py reached target/nostd/doc/doc/cortex_wire.json target/nostd/functions ||
    fail "the proof does not reach every public function"

check='assert!(core::hint::black_box(true));'
planted cortex-wire/src/codec.rs '    Header::decode(first)?;' "    $check Header::decode(first)?;"
planted cortex-wire/src/blob.rs \
    $'    blob: &[u8],\n) -> Result<(Header, M::View<\'_>), DecodeError> {\n' \
    $'    blob: &[u8],\n) -> Result<(Header, M::View<\'_>), DecodeError> {\n'"$check"
planted cortex-wire/src/value/mod.rs 'i64::try_from(*value).ok(),' 'Some(i64::try_from(*value).unwrap()),'
planted cortex-wire/src/coding/owned.rs 'let array = input.read_array()?;' \
    "let array = input.read_array()?; $check"
say "a panic in any of four functions fails the proof"

use_build_std
# Here `core` is compiled from source, by this profile too, and it is shipped without the checks.
export CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=false
all -Zbuild-std=core,alloc --target $thumb
say "the same for $thumb"
