#!/usr/bin/env bash
# Makes a virtual environment with a pinned pytest, pytest-timeout and PyYAML, once, and prints the directory of its programs.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR/../services source=../services/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../services/lib.sh"
venv pytest-venv pytest==8.4.2 pytest-timeout==2.4.0 PyYAML==6.0.3
