#!/usr/bin/env bash
# Two machines and one daemon: nodes on both sides of a link, which is cut for longer than a lease lasts
# and mended. The machines are network namespaces, which takes root and iproute2. Takes about 40 seconds
# beside building.
. "$(dirname "$0")/bootstrap.sh"

near="cortex-near-$$"
far="cortex-far-$$"
folder=$(mktemp -d)
programs=()

finish() {
    for program in "${programs[@]}"; do
        kill "$program" 2>/dev/null || true
    done
    ip netns del "$near" 2>/dev/null || true
    ip netns del "$far" 2>/dev/null || true
    rm -rf "$folder"
}

# Ends the script with the logs of the programs.
fail_with_logs() {
    for log in "$folder"/*.err; do
        echo "--- $(basename "$log")"
        tail -n 20 "$log"
    done
    fail "$1"
}

if [ "$(id -u)" -ne 0 ]; then
    echo "SKIPPED: network namespaces take root"
    exit 0
fi
install ip iproute2
trap finish EXIT
if ! { ip netns add "$near" && ip netns add "$far" \
    && ip link add "cx-near-$$" netns "$near" type veth peer name "cx-far-$$" netns "$far"; }; then
    echo "SKIPPED: this system makes no network namespaces"
    exit 0
fi
ip -n "$near" address add 10.77.0.1/24 dev "cx-near-$$"
ip -n "$far" address add 10.77.0.2/24 dev "cx-far-$$"
for side in near far; do
    name="cortex-$side-$$"
    ip -n "$name" link set lo up
    ip -n "$name" link set "cx-$side-$$" up
done

cargo build --quiet -p cortex-tests --bin graph
graph="${CARGO_TARGET_DIR:-target}/debug/graph"
cargo build --quiet -p cortex-cli --bin cortex
cortex="${CARGO_TARGET_DIR:-target}/debug/cortex"
export CORTEX_DISCOVERY=tcp://10.77.0.1:7447
# The programs end with their stdin, which ends with this script.
mkfifo "$folder/stdin"
exec 9<>"$folder/stdin"

# start SIDE LOG ROLE ARGUMENTS..: starts a program and waits until it is ready.
start() {
    local side=$1 log="$folder/$2"
    shift 2
    : >"$log"
    ip netns exec "cortex-$side-$$" "$graph" "$@" <"$folder/stdin" >"$log" 2>"$log.err" 9>&- &
    programs+=($!)
    for _ in $(seq 300); do
        if grep -q ready "$log"; then return; fi
        sleep 0.1
    done
    fail_with_logs "$* is not ready"
}

# has_received LOG TIME: whether a message arrived that was sent after TIME, in nanoseconds.
has_received() {
    local last
    last=$(tail -n 2 "$folder/$1" | grep -o '^\[[0-9]*\]$' | tail -n 1 | tr -d '[]') || return 1
    [ "${last:-0}" -gt "$2" ]
}

# receives WHAT SECONDS LOG..: waits until each listener receives a message that is sent from now on.
receives() {
    local what=$1 limit=$2 from begin=$SECONDS
    shift 2
    from=$(date +%s%N)
    for log in "$@"; do
        until has_received "$log" "$from"; do
            [ $((SECONDS - begin)) -le "$limit" ] || fail_with_logs "$what: $log received nothing"
            sleep 0.1
        done
    done
    echo "$what: $(($(date +%s%N) / 1000000 - from / 1000000)) ms"
}

# On all interfaces: nodes of its machine may use the loopback address.
CORTEX_DISCOVERY=tcp://0.0.0.0:7447 start near daemon daemon
start near near-talker publish near-talker /near
start far far-talker publish far-talker /far
start near near-listener listen near-listener /far
start far far-listener listen far-listener /near
receives "both sides receive from each other" 30 near-listener far-listener

# A node that registers the loopback address of its machine is found and cannot be reached: the daemon and
# the other machine say so.
CORTEX_DISCOVERY=tcp://127.0.0.1:7447 start near local-talker publish local-talker /local
for _ in $(seq 100); do
    if grep -q "other machines cannot reach a publisher" "$folder/daemon.err"; then break; fi
    sleep 0.1
done
grep -q "other machines cannot reach a publisher" "$folder/daemon.err" \
    || fail_with_logs "the daemon says nothing of a loopback address"
for arguments in "topic info /local" "doctor" "topic echo --once --timeout 1 /local"; do
    # shellcheck disable=SC2086
    ip netns exec "$far" "$cortex" $arguments >"$folder/told" 2>&1 || true
    tr -s ' \n' ' ' <"$folder/told" | grep -q "is a loopback address, which only" \
        || fail_with_logs "cortex $arguments does not explain a loopback address: $(cat "$folder/told")"
done
echo "a loopback address is explained to other machines"

# One end reports that it is down; the other one sends without a receiver. Longer than a lease of ten
# seconds.
ip -n "$far" link set "cx-far-$$" down
sleep 15
now=$(date +%s%N)
sleep 1
grep -q "whose lease ended" "$folder/daemon.err" || fail_with_logs "no lease ended at the daemon"
if has_received near-listener "$now" || has_received far-listener "$now"; then
    fail_with_logs "the link is not cut"
fi
# A node that starts while there is no way to the daemon waits for one.
start far late-talker publish late-talker /late
start near late-listener listen late-listener /late
ip -n "$far" link set "cx-far-$$" up
receives "both sides receive from each other again" 30 near-listener far-listener
receives "a node that started without a network is received" 30 late-listener
# New nodes request the topics from the daemon, which knows those of both sides.
start near new-near listen new-near /far
start far new-far listen new-far /near
receives "new nodes receive from the other side" 30 new-near new-far
echo "two machines: passed"
