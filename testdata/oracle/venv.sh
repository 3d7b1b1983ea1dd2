#!/usr/bin/env bash
# Makes a virtual environment with a pinned PyMySQL, once, and prints the directory of its programs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TRTPERF_CACHE:-$here/../../.cache}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
venv=$cache/pymysql-venv
pymysql_version=1.2.4

# Several test programs may run this at the same time.
exec 9>"$cache/pymysql-venv.lock"
flock 9
if ! "$venv/bin/python" -c "import importlib.metadata; assert importlib.metadata.version('PyMySQL') == '$pymysql_version'" 2>/dev/null; then
	rm -rf "$venv"
	if ! python3 -m venv "$venv" 2>/dev/null; then
		rm -rf "$venv"
		if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
			apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv
			python3 -m venv "$venv"
		else
			echo "python3 cannot make a virtual environment: install python3 with its venv module (Debian: python3-venv)" >&2
			exit 1
		fi
	fi
	"$venv/bin/pip" install --quiet --disable-pip-version-check "PyMySQL==$pymysql_version"
fi
flock -u 9
echo "$venv/bin"
