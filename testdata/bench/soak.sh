#!/usr/bin/env bash
# Every fuzz test for FUZZTIME (default 2m), then all tests under the race detector.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
grep -rl --include='*_test.go' '^func Fuzz' cmd export parse upload | while read -r file; do
	grep -o '^func Fuzz[A-Za-z0-9_]*' "$file" | sed 's/^func //' | while read -r target; do
		echo "== $target in $(dirname "$file")"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-2m}" -fuzzminimizetime 5s "./$(dirname "$file")" </dev/null
	done
done
testdata/services/with-services.sh env CGO_ENABLED=1 go test -race -count=1 -timeout 60m ./...
