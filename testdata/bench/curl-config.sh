#!/usr/bin/env bash
# Prints a curl configuration that posts the files of a directory over one connection: curl-config.sh URL DIRECTORY [N OF], the Nth of every OF files.
set -euo pipefail
first=1 i=0 n=${3:-1} of=${4:-1}
for body in "$2"/*; do
	i=$((i + 1))
	[ $((i % of)) -eq $((n % of)) ] || continue
	[ -n "$first" ] || echo next
	first=''
	printf 'url = "%s"\nrequest = POST\nheader = "Content-Type: application/x-ndjson"\ndata-binary = "@%s"\noutput = /dev/null\n' "$1" "$body"
done
