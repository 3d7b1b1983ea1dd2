#!/usr/bin/env bash
# Makes results.xml files with a real pytest: xunit1.xml, xunit2.xml and truncated.xml in the given directory.
set -euo pipefail

if [ $# -ne 1 ]; then
	echo "usage: $0 OUTPUT-DIRECTORY" >&2
	exit 2
fi
out=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${TRTPERF_CACHE:-$here/../../.cache}
venv=$cache/pytest-venv
pytest_version=8.4.2

# Several test programs may run this at the same time.
mkdir -p "$cache"
exec 9>"$cache/pytest-venv.lock"
flock 9
if ! "$venv/bin/python" -c "import pytest; assert pytest.__version__ == '$pytest_version'" 2>/dev/null; then
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
	"$venv/bin/pip" install --quiet --disable-pip-version-check "pytest==$pytest_version"
fi
flock -u 9

for family in xunit1 xunit2; do
	# pytest exits with 1, since some of these tests are meant to fail.
	(cd "$here/suite" && "$venv/bin/python" -m pytest -q -p no:cacheprovider -o junit_logging=out-err -o junit_family="$family" \
		--junit-xml="$out/$family.xml" . >"$out/$family.log" 2>&1) || [ $? -eq 1 ]
done
# Cut in the output of the test that prints the block.
at=$(grep -abo 'Mean TTFT' "$out/xunit1.xml" | head -n 1 | cut -d: -f1)
head -c "$((at + 40))" "$out/xunit1.xml" >"$out/truncated.xml"
