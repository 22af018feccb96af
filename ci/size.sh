#!/usr/bin/env bash
# Measures what encoding and decoding a header and an image's metadata take on a Cortex-M4 without
# std, and what the node of examples/firmware does beside its buffers, and writes it into the tables
# of cortex-wire/README.md and of the book; with --check, and in CI, it fails instead where a table is
# off by more than 5 %. The node must not take more than 24 KiB of flash and 2 KiB of RAM.
#
# Flash is what the program's sections have more than those of one that does nothing. Stack is how
# far down a painted stack was written, run by qemu-arm, with the message, its metadata and its list
# of buffers on it. The programs are in tests/nostd, built with opt-level "s" and fat LTO.
. "$(dirname "$0")/bootstrap.sh"

pages=(cortex-wire/README.md docs/src/boards.md)
target=thumbv7em-none-eabihf
programs=target/size/$target/size

install readelf binutils
install qemu-arm qemu-user
use_build_std
mkdir -p target/size
cargo build --locked --profile size -Zbuild-std=core --manifest-path tests/nostd/Cargo.toml \
    --target $target --target-dir target/size --features size \
    --bin size-baseline --bin size-encode --bin size-decode --bin size-node >target/size/output 2>&1 ||
    { tail -n 40 target/size/output >&2 && fail "the programs do not build"; }

# Bytes of code and data that a program is loaded with; unwind tables are not linked into firmware.
loaded() {
    readelf -SW "$programs/$1" | sed 's/^ *\[ *//' |
        awk '$3 == "PROGBITS" && $0 ~ / A[A-Z]* | WA / { print "0x" $6 }' |
        { sum=0 && while read -r len; do sum=$((sum + len)); done && echo "$sum"; }
}

# The bytes of stack that a program prints, with leading zeros.
stack() {
    local bytes
    # Any CPU that knows the instructions: qemu-user does not start Cortex-M ones.
    bytes=$(qemu-arm "$programs/$1") || fail "$1 does not run"
    bytes=$((10#$bytes))
    [ "$bytes" -gt 0 ] || fail "$1 printed no stack size: its check failed"
    echo "$bytes"
}

declare -A names=(
    [encode]='header and image metadata: encode'
    [decode]='header and image metadata: decode'
    [node]='a node on a serial line: link, hello, two topics out, a command in'
)
baseline=$(loaded size-baseline)
rows=
for operation in encode decode node; do
    flash=$(loaded size-$operation)
    stack=$(stack size-$operation)
    rows+="$operation $((flash - baseline)) $stack"$'\n'
done
rows=${rows%$'\n'}
# The last of them is the node.
[ $((flash - baseline)) -le $((24 * 1024)) ] && [ "$stack" -le 2048 ] ||
    fail "the node takes $((flash - baseline)) bytes of flash and $stack of RAM"
say "measured: operation, bytes of flash, bytes of stack"
echo "$rows"

table=$(
    echo '| | flash | RAM: stack |'
    echo '| --- | ---: | ---: |'
    while read -r operation flash stack; do
        echo "| ${names[$operation]} | $flash bytes | $stack bytes |"
    done <<<"$rows"
)

# The text between the markers of a page.
written() {
    sed -n '/^<!-- size table -->$/,/^<!-- end -->$/p' "$1" | sed '1d;$d'
}

# Fails where a page is off.
check() {
    local page=$1 operation flash stack old_flash old_stack old new difference
    while read -r operation flash stack; do
        read -r old_flash old_stack < <(written "$page" |
            sed -n "s/^| ${names[$operation]} | \([0-9]\+\) bytes | \([0-9]\+\) bytes |\$/\1 \2/p") ||
            fail "$page has no size of $operation; run ci/size.sh"
        for pair in "$old_flash $flash" "$old_stack $stack"; do
            read -r old new <<<"$pair"
            difference=$((new > old ? new - old : old - new))
            [ $((difference * 20)) -le "$old" ] ||
                fail "$operation takes $new bytes, $page says $old; run ci/size.sh"
        done
    done <<<"$rows"
    say "the table in $page is right"
}

# Writes the table into a page.
write() {
    local page=$1
    grep -q '^<!-- size table -->$' "$page" ||
        printf '\n<!-- size table -->\n<!-- end -->\n' >>"$page"
    TABLE=$table awk '
        /^<!-- end -->$/ { inside = 0 }
        !inside { print }
        /^<!-- size table -->$/ { inside = 1; print ENVIRON["TABLE"] }
    ' "$page" >target/size/page
    cat target/size/page >"$page"
    say "written into $page"
}

for page in "${pages[@]}"; do
    if [ "${1-}" = --check ] || [ "${CI-}" = true ]; then
        check "$page"
    else
        write "$page"
    fi
done
