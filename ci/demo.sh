#!/usr/bin/env bash
# The README's demo runs to its end and leaves a picture and nothing else.
. "$(dirname "$0")/bootstrap.sh"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cargo build --release --bin demo
TMPDIR="$folder" timeout 60 cargo run --release --bin demo -- --frames 90 --png "$folder/last.png"
head -c 8 "$folder/last.png" | cmp - <(printf '\211PNG\r\n\032\n') \
    || { echo "the demo saved no PNG"; exit 1; }
left=$(find "$folder" -mindepth 1 ! -name last.png)
[ -z "$left" ] || { echo "the demo left behind: $left"; exit 1; }
