#!/usr/bin/env bash
# Makes results.xml files with a real pytest: xunit1.xml, xunit2.xml and truncated.xml in the given directory.
set -euo pipefail

if [ $# -ne 1 ]; then
	echo "usage: $0 OUTPUT-DIRECTORY" >&2
	exit 2
fi
out=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$("$here/venv.sh")/python

for family in xunit1 xunit2; do
	# pytest exits with 1, since some of these tests are meant to fail.
	(cd "$here/suite" && "$python" -m pytest -q -p no:cacheprovider -o junit_logging=out-err -o junit_family="$family" \
		--junit-xml="$out/$family.xml" . >"$out/$family.log" 2>&1) || [ $? -eq 1 ]
done
# Cut in the output of the test that prints the block.
at=$(grep -abo 'Mean TTFT' "$out/xunit1.xml" | head -n 1 | cut -d: -f1)
head -c "$((at + 40))" "$out/xunit1.xml" >"$out/truncated.xml"
