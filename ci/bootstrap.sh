# Sourced first by each script here: stops at the first failure, goes to the root of the tree, and
# provides messages, Debian packages, programs of crates.io and compilers for other targets.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Ends the script with one line.
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

# One line of a script's progress, with the seconds since its start.
say() {
    printf '%s: %s (%s s)\n' "$(basename "$0")" "$1" "$SECONDS"
}

# Runs apt-get; where that fails, again with fresh package lists.
apt() {
    apt-get "$@" >/dev/null 2>&1 || { apt-get update >/dev/null 2>&1 && apt-get "$@" >/dev/null; }
}

# Installs Debian packages.
install_packages() {
    say "installing $*"
    DEBIAN_FRONTEND=noninteractive apt install -y --no-install-recommends "$@" ||
        fail "cannot install the Debian packages $*"
}

# Installs Debian packages unless their command is there: install COMMAND PACKAGE...
install() {
    local command=$1
    shift
    command -v "$command" >/dev/null || install_packages "$@"
}

# The names among a Debian package's dependencies that match a pattern.
dependencies() {
    apt-cache depends "$1" 2>/dev/null | sed -n "s/^ *Depends: \($2\)\$/\1/p"
}

# Installs a program from the crate of its name unless it is there: install_crate NAME
install_crate() {
    command -v "$1" >/dev/null || cargo install --quiet --locked "$1" || fail "cannot install $1"
}

# Gives a generated package the versions of the workspace: copies Cargo.lock into its folder and
# drops from the copy what the package does not need.
lock_package() {
    local manifest=$1/Cargo.toml
    cp Cargo.lock "$1/"
    cargo update --quiet --workspace --offline --manifest-path "$manifest" ||
        cargo update --quiet --workspace --manifest-path "$manifest"
}

# Copies the tree, without what is built, to plant a fault into it: copy_tree FOLDER
copy_tree() {
    rm -rf "$1"
    mkdir -p "$1"
    tar -c --exclude=./target --exclude=./.git . | tar -x -C "$1"
}

# Replaces a text that a file has once: plant FILE BEFORE AFTER
plant() {
    python3 - "$@" <<'PYTHON' || fail "the fault cannot be planted into $1"
import sys

path, before, after = sys.argv[1:]
text = open(path).read()
if text.count(before) != 1:
    sys.exit(f"{path} has {text.count(before)} times: {before}")
open(path, "w").write(text.replace(before, after))
PYTHON
}

# Unpacks Debian's compiler and library source into a folder, once. To build `core` or `std` for
# another target takes the standard library's source and a compiler that matches it: rustup's own
# where the component rust-src is installed, else Debian's, which are never installed. Rustup's
# cargo drives either.
unpack_rustc() {
    local folder=$1 std package
    mkdir -p "$folder"
    exec 9>"$folder/lock"
    flock 9
    if [ ! -e "$folder/complete" ]; then
        rm -rf "$folder/usr" "$folder/packages"
        mkdir "$folder/packages"
        # Package lists as an image was made with may know only a compiler that is too old.
        apt-get update >/dev/null 2>&1 || true
        std=$(dependencies libstd-rust-web-dev 'libstd-rust-web-[0-9.]*')
        [ -n "$std" ] || fail "rustup has no rust-src here, and Debian no rustc-web"
        (cd "$folder/packages" && apt download rustc-web rust-web-src libstd-rust-web-dev \
            "$std" "$(dependencies "$std" 'libllvm[0-9]*')") ||
            fail "cannot download Debian's rustc-web"
        for package in "$folder"/packages/*.deb; do
            dpkg -x "$package" "$folder" || fail "cannot unpack $package"
        done
        rm -rf "$folder/packages"
        cat >"$folder/rustc" <<WRAPPER
#!/bin/sh
# The libraries of an unpacked compiler are not where the loader looks.
folder=\$(dirname "\$0")
LD_LIBRARY_PATH=\$(echo "\$folder"/usr/lib/*-linux-gnu) exec "\$folder/usr/bin/rustc" "\$@"
WRAPPER
        chmod +x "$folder/rustc"
        touch "$folder/complete"
    fi
    flock -u 9
    exec 9>&-
}

# Prepares cargo for -Zbuild-std and for linking Cortex-M4 programs with the toolchain's linker.
use_build_std() {
    local sysroot linker
    sysroot=$(rustc --print sysroot)
    linker=$(echo "$sysroot"/lib/rustlib/*/bin/rust-lld)
    [ -x "$linker" ] || fail "the toolchain in $sysroot has no rust-lld"
    export CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER=$linker
    if [ ! -e "$sysroot/lib/rustlib/src/rust/library/core" ]; then
        unpack_rustc "$PWD/target/debian/rustc"
        export RUSTC=$PWD/target/debian/rustc/rustc
    fi
    export RUSTC_BOOTSTRAP=1
}

# Prepares cargo for building and running, in qemu-user, the programs of another Linux target:
# use_emulator TARGET COMPILER QEMU PACKAGE...; the packages are those of the cross compiler, such as
# arm-linux-gnueabihf-g++.
use_emulator() {
    local target=${1^^} compiler=$2 prefix=${2%-*} qemu=$3
    shift 3
    install "$compiler" "$@"
    install "$qemu" qemu-user
    export "CARGO_TARGET_${target//-/_}_LINKER=$prefix-gcc"
    export "CARGO_TARGET_${target//-/_}_RUNNER=$qemu -L /usr/$prefix"
    # Backtraces are not needed there, and without them it takes half the time.
    export CARGO_PROFILE_DEV_DEBUG=0
    use_build_std
}
