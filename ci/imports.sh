#!/usr/bin/env bash
# No files of one package import each other in a ring: ci/imports.sh [--list] [PACKAGE...].
set -euo pipefail
cd "$(dirname "$0")/.."

python3 ci/imports.py --self-test
python3 ci/imports.py "$@"
