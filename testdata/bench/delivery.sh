#!/usr/bin/env bash
# Speed of delivery into OpenSearch: DOCUMENTS (default 100000) results from a filled local store, with receipts written, beside curl with ready NDJSON
# over 1, 2 and 4 connections, of which the best counts; trtperf has as many tries. The node is warmed by one whole round of both; then the sides take
# turns (ROUNDS, default 2), each into an index of its own, and the best of each counts. Each time all is sent again, from a local store that knows
# of no delivery, beside curl again. A file that may be sent twice holds updates; with CREATE=1 curl's holds the documents as trtperf makes new ones, so that
# sending again fails in the node, item by item.
# Absolute figures are this machine's; the ratio is what to compare.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../services/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../services/lib.sh"
cd "$here/../.."
need curl curl
need python3 python3
need bc bc
trtperf=$PWD/bin/trtperf
rounds=${ROUNDS:-2} documents=${DOCUMENTS:-100000}
work=$(mktemp -d)
trap '"$here/opensearch.sh" stop --home "$work/opensearch"; rm -rf "$work"' EXIT

# seconds COMMAND…: runs it and prints how long it took. Exit codes up to 6 are trtperf's words about what it did.
seconds() {
	local started ended code=0
	started=$(date +%s%N)
	"$@" >/dev/null 2>"$work/errors" || code=$?
	ended=$(date +%s%N)
	if [ "$code" -gt 6 ]; then
		cat "$work/errors" >&2
		exit 1
	fi
	echo "scale=3; ($ended - $started) / 1000000000" | bc
}

# best A B: the smaller one.
best() { if [ -z "$1" ] || [ "$(echo "$2 < $1" | bc)" = 1 ]; then echo "$2"; else echo "$1"; fi; }

# theirs URL CONNECTIONS: curl posts the bodies, dealt out over connections.
theirs() {
	local n pids=()
	for n in $(seq "$2"); do
		curl -sf --config <("$here/../bench/curl-config.sh" "$1" "$work/bodies" "$n" "$2") >/dev/null &
		pids+=($!)
	done
	for n in "${pids[@]}"; do wait "$n"; done
}

# count INDEX: how many documents the node has there.
count() {
	curl -sf -XPOST "$url/$1/_refresh" >/dev/null
	curl -sf "$url/$1/_count" | python3 -c 'import json, sys; print(json.load(sys.stdin)["count"])'
}

# complete INDEX: ends the run unless all documents are there, each once.
complete() {
	local stored
	stored=$(count "$1")
	[ "$stored" = "$documents" ] || { echo "$1 has $stored documents, not $documents" >&2; exit 1; }
}

# drop INDEX: takes an index away, so that each round meets the node as the one before did.
drop() {
	curl -sf -XDELETE "$url/$1" >/dev/null
	sync
}

# ours STORE PROJECT: delivers what a copy of the filled local store owes, to a project. The store owes it to a gate that is shut; the copy's owes to
# the project instead.
prepare() {
	rm -rf "$1"
	cp -r "$work/filled" "$1"
	python3 - "$1/trtperf.db" "opensearch+$url/$2" <<-'PY'
		import sqlite3, sys
		db = sqlite3.connect(sys.argv[1])
		db.execute("UPDATE targets SET target = ?", (sys.argv[2],))
		db.commit()
	PY
	sync # or what syncs later would wait for the copy
}

url=$("$here/opensearch.sh" start --home "$work/opensearch")
"$here/../bench/results.py" "$documents" "$work/many"
whole=$(seconds "$trtperf" upload -q -o "$work/whole" --to "opensearch+$url/whole" "$work/many")
"$here/../bench/ndjson.py" "$url" df-whole-trtperf "$work/bodies" ${CREATE:+create}
drop df-whole-trtperf
# Nothing listens at port 1: all stays owed.
"$trtperf" upload -q -o "$work/filled" --deadline 0s --to opensearch+http://127.0.0.1:1/nowhere "$work/many" >/dev/null 2>&1 || true
rm -rf "$work/many" "$work/whole"

ours='' curls='' ours_again='' curls_again='' connections=''
for round in $(seq 0 "$rounds"); do
	theirs_took='' theirs_again='' took='' again=''
	for n in 1 2 4; do # both have three tries, in turn: the best of more tries would be better by chance alone
		prepare "$work/store" "ours-$round"
		first=$(seconds "$trtperf" upload -q -o "$work/store" --resume)
		complete "df-ours-$round-trtperf"
		prepare "$work/store" "ours-$round"
		second=$(seconds "$trtperf" upload -q -o "$work/store" --resume)
		complete "df-ours-$round-trtperf"
		drop "df-ours-$round-trtperf"
		took=$(best "$took" "$first") again=$(best "$again" "$second")
		first=$(seconds theirs "$url/df-theirs-$round-$n-trtperf/_bulk" "$n")
		second=$(seconds theirs "$url/df-theirs-$round-$n-trtperf/_bulk" "$n")
		complete "df-theirs-$round-$n-trtperf"
		drop "df-theirs-$round-$n-trtperf"
		if [ "$(best "$theirs_took" "$first")" = "$first" ]; then best_n=$n; fi
		theirs_took=$(best "$theirs_took" "$first") theirs_again=$(best "$theirs_again" "$second")
	done
	[ "$round" = 0 ] && continue # it warmed the node
	if [ "$(best "$curls" "$theirs_took")" = "$theirs_took" ]; then connections=$best_n; fi
	ours=$(best "$ours" "$took") ours_again=$(best "$ours_again" "$again")
	curls=$(best "$curls" "$theirs_took") curls_again=$(best "$curls_again" "$theirs_again")
done
echo "delivery: $documents results into OpenSearch, best of $rounds after a round that warmed the node"
echo "  trtperf upload --resume, receipts written      $(echo "$documents / $ours" | bc) docs/s"
echo "  curl, ready NDJSON, best with $connections connection(s)  $(echo "$documents / $curls" | bc) docs/s"
echo "  ratio                                          $(echo "scale=2; $curls / $ours" | bc)"
echo "  sent again from a fresh local store            $(echo "$documents / $ours_again" | bc) docs/s"
echo "  curl again                                     $(echo "$documents / $curls_again" | bc) docs/s"
echo "  ratio                                          $(echo "scale=2; $curls_again / $ours_again" | bc)"
echo "  trtperf upload, with reading and the local store, node cold: $(echo "$documents / $whole" | bc) docs/s"
