#!/usr/bin/env bash
# Every fuzz test for FUZZTIME (default 20s). Prints a line for each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# out_of_time OUTPUT: whether go test failed for nothing but the end of the time. Go before 1.27 may take it for a failure of the fuzz test (go.dev/issue/75804);
# what a fuzz test finds has an input, which is written, and a test that hangs is called so.
out_of_time() {
	[ "$(sed -n '/^--- FAIL: /,/^FAIL$/p' <<<"$1" | sed '1d;$d')" = "    context deadline exceeded" ] && ! grep -q 'Failing input' <<<"$1"
}

grep -rl --include='*_test.go' '^func Fuzz' cmd export launch parse upload | sort | while read -r file; do
	grep -o '^func Fuzz[A-Za-z0-9_]*' "$file" | sed 's/^func //' | while read -r target; do
		package=./$(dirname "$file")
		if ! out=$(go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-20s}" -fuzzminimizetime 50x "$package" 2>&1 </dev/null) && ! out_of_time "$out"; then
			printf '%s\n' "$out"
			exit 1
		fi
		printf 'fuzz\t%s %s\t%s\n' "$package" "$target" "$(grep -o 'execs: [0-9]*' <<<"$out" | tail -1)"
	done
done
