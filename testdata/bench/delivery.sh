#!/usr/bin/env bash
# Speed of delivery: documents a second into OpenSearch (DOCUMENTS, default 20000), beside curl with ready NDJSON, in one run. Both take
# turns (ROUNDS, default 3), and the best of each counts. Absolute figures are this machine's; the ratio is what to compare.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../services/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../services/lib.sh"
cd "$here/../.."
need curl curl
need python3 python3
trtperf=$PWD/bin/trtperf
rounds=${ROUNDS:-3} documents=${DOCUMENTS:-20000}
work=$(mktemp -d)
trap '"$here/opensearch.sh" stop --home "$work/opensearch"; rm -rf "$work"' EXIT

# seconds COMMAND…: runs it and prints how long it took. Exit codes up to 6 are trtperf's words about the logs; 1 is ripgrep's.
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

need bc bc
# node start|stop: the node, on the same port each time.
node() {
	if [ "$1" = start ]; then
		"$here/opensearch.sh" start --home "$work/opensearch" --port "$port"
	else
		"$here/opensearch.sh" stop --home "$work/opensearch"
	fi
}

port=$(free_port)
url=$(node start)
"$here/../bench/results.py" "$documents" "$work/many"
ours='' theirs='' whole=''
for round in $(seq "$rounds"); do
	# All of it: reading, the local store and delivery.
	whole=$(best "$whole" "$(seconds "$trtperf" upload -q -o "$work/whole-$round" --to "opensearch+$url/whole-$round" "$work/many")")
	if [ "$round" = 1 ]; then
		"$here/../bench/ndjson.py" "$url" df-whole-1-trtperf "$work/bodies"
	fi
	# Delivery alone: with the node down all is owed; then it comes up, and both it and the machine are warmed with other documents.
	node stop
	"$trtperf" upload -q -o "$work/owed-$round" --deadline 0s --to "opensearch+$url/ours-$round" "$work/many" >/dev/null 2>&1 || true
	node start >/dev/null
	seconds curl -sf --config <("$here/../bench/curl-config.sh" "$url/df-warm-$round-trtperf/_bulk" "$work/bodies") >/dev/null
	ours=$(best "$ours" "$(seconds "$trtperf" upload -q -o "$work/owed-$round" --resume)")
	theirs=$(best "$theirs" "$(seconds curl -sf --config <("$here/../bench/curl-config.sh" "$url/df-theirs-$round-trtperf/_bulk" "$work/bodies"))")
done
stored=$(curl -sf "$url/df-ours-$rounds-trtperf/_refresh" -XPOST >/dev/null && curl -sf "$url/df-ours-$rounds-trtperf/_count" | python3 -c 'import json, sys; print(json.load(sys.stdin)["count"])')
[ "$stored" = "$documents" ] || { echo "$stored documents stored, not $documents" >&2; exit 1; }
echo "delivery: $documents documents into OpenSearch, one connection, best of $rounds"
echo "  trtperf upload --resume   $(echo "$documents / $ours" | bc) docs/s"
echo "  curl, ready NDJSON        $(echo "$documents / $theirs" | bc) docs/s"
echo "  ratio                     $(echo "scale=2; $theirs / $ours" | bc)"
echo "  trtperf upload, with reading and the local store: $(echo "$documents / $whole" | bc) docs/s"
