#!/usr/bin/env bash
# Installs what the other scripts and the README's commands need on a fresh Debian machine:
# a C++ compiler for libzmq, and python3 with its venv module for the Python peers.
. "$(dirname "$0")/bootstrap.sh"

install g++ g++
install git git
python3 -c 'import venv, ensurepip' 2>/dev/null || install_packages python3 python3-venv
for component in rustfmt clippy; do
    rustup component list --installed 2>/dev/null | grep -q "^$component" \
        || rustup component add "$component"
done
