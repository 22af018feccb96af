#!/usr/bin/env bash
# Runs cortex-wire's tests and the golden vectors on a machine with 32 bits and the other byte
# order: powerpc-unknown-linux-gnu, emulated by qemu-user, with a standard library from source.
. "$(dirname "$0")/bootstrap.sh"

target=powerpc-unknown-linux-gnu
use_emulator $target powerpc-linux-gnu-gcc qemu-ppc gcc-powerpc-linux-gnu libc6-dev-powerpc-cross
say "the toolchain is there"

test() {
    cargo test --quiet --locked -Zbuild-std --target $target --target-dir target/bigendian "$@"
}

test -p cortex-wire --features alloc --lib
say "the tests of the crate pass on $target"

# The tests' own package needs libzmq for other tests; this one has the dependencies of these.
package=target/bigendian/golden
mkdir -p $package/src
ln -sfn ../../../tests/golden $package/golden
cat >$package/Cargo.toml <<'MANIFEST'
[package]
name = "cortex-tests"
edition = "2024"

[workspace]

[[test]]
name = "golden"
path = "../../../tests/codec/golden.rs"

[dependencies]
cortex-cli = { path = "cli" }
cortex-wire = { path = "../../../cortex-wire", features = ["alloc"] }
serde_json = { version = "1", features = ["preserve_order"] }

[profile.dev.package.cortex-wire]
opt-level = 1
MANIFEST
cat >$package/src/lib.rs <<'LIBRARY'
#[path = "../../../../tests/src/golden.rs"]
pub mod golden;
#[path = "../../../../tests/src/typed.rs"]
pub mod typed;
LIBRARY
# typed_json, the notation of the golden files, is a module of cortex-cli, which takes the wire from cortex-std.
library() {
    mkdir -p "$package/$1/src"
    printf '[package]\nname = "%s"\nedition = "2024"\n[dependencies]\n%s\n' "$2" "$3" >"$package/$1/Cargo.toml"
    echo "$4" >"$package/$1/src/lib.rs"
}
library std cortex-std 'cortex-wire = { path = "../../../../cortex-wire", features = ["alloc"] }' \
    'pub use cortex_wire as wire;'
library cli cortex-cli $'cortex-std = { path = "../std" }\nserde_json = "1"\nthiserror = "2"' \
    '#[path = "../../../../../cortex-std/cli/src/typed_json.rs"] pub mod typed_json;'
lock_package $package
test --manifest-path $package/Cargo.toml --test golden
say "the golden vectors pass on $target"
