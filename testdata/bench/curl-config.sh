#!/usr/bin/env bash
# Prints a curl configuration that posts each file of a directory, over one connection: curl-config.sh URL DIRECTORY.
set -euo pipefail
first=1
for body in "$2"/*; do
	[ -n "$first" ] || echo next
	first=''
	printf 'url = "%s"\nrequest = POST\nheader = "Content-Type: application/x-ndjson"\ndata-binary = "@%s"\noutput = /dev/null\n' "$1" "$body"
done
