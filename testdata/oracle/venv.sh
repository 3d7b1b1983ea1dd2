#!/usr/bin/env bash
# Makes a virtual environment with a pinned PyMySQL, once, and prints the directory of its programs.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR/../services source=../services/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../services/lib.sh"
venv pymysql-venv PyMySQL==1.2.4
