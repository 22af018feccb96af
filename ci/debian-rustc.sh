# Sourced by the scripts here that need more than a stable toolchain, from the root of the tree.
#
# To build `core` or `std` for another target takes the standard library's source and a compiler
# that matches it: rustup's own where the component rust-src is installed, else Debian's, which
# are unpacked under target/debian and never installed. Rustup's cargo drives either.

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

# Installs Debian packages unless their command is there: install COMMAND PACKAGE...
install() {
    local command=$1
    shift
    command -v "$command" >/dev/null || apt install -y --no-install-recommends "$@" ||
        fail "cannot install the Debian packages $*"
}

# The names among a Debian package's dependencies that match a pattern.
dependencies() {
    apt-cache depends "$1" 2>/dev/null | sed -n "s/^ *Depends: \($2\)\$/\1/p"
}

# Unpacks Debian's compiler and library source into a folder, once.
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

# Readies cargo for -Zbuild-std; sets RUST_LLD, the linker for bare metal.
use_build_std() {
    local sysroot
    sysroot=$(rustc --print sysroot)
    RUST_LLD=$(echo "$sysroot"/lib/rustlib/*/bin/rust-lld)
    [ -x "$RUST_LLD" ] || fail "the toolchain in $sysroot has no rust-lld"
    if [ ! -e "$sysroot/lib/rustlib/src/rust/library/core" ]; then
        unpack_rustc "$PWD/target/debian/rustc"
        export RUSTC=$PWD/target/debian/rustc/rustc
    fi
    export RUSTC_BOOTSTRAP=1
}
