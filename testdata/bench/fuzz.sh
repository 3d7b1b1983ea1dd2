#!/usr/bin/env bash
# Every fuzz test for FUZZTIME (default 20s). Prints a line for each.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
grep -rl --include='*_test.go' '^func Fuzz' cmd export launch parse upload | sort | while read -r file; do
	grep -o '^func Fuzz[A-Za-z0-9_]*' "$file" | sed 's/^func //' | while read -r target; do
		package=./$(dirname "$file")
		if ! out=$(go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-20s}" -fuzzminimizetime 50x "$package" 2>&1 </dev/null); then
			printf '%s\n' "$out"
			exit 1
		fi
		printf 'fuzz\t%s %s\t%s\n' "$package" "$target" "$(grep -o 'execs: [0-9]*' <<<"$out" | tail -1)"
	done
done
