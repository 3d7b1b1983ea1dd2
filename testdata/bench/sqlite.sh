#!/usr/bin/env bash
# Speed into the local store, with what is owed noted, beside the sqlite3 shell's .import of the same metric rows as text, in one run: the sides in
# turn (ROUNDS, default 5), the best of each. Then process of a run of three clients to every kind of target that can be had here, beside Python with
# trt_perf_parser.py's rule for the same rows. Absolute figures are this machine's; the ratios are what to compare.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../services/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../services/lib.sh"
cd "$here/../.."
need bc bc
need sqlite3 sqlite3
rounds=${ROUNDS:-5}
work=$(mktemp -d)
trap '"$here/opensearch.sh" stop --home "$work/opensearch"; "$here/mariadb.sh" stop --home "$work/mariadb"; rm -rf "$work"' EXIT

go build -o "$work/sqlite" ./testdata/bench/sqlite

# best A B: the smaller one.
best() { if [ -z "$1" ] || [ "$(echo "$2 < $1" | bc)" = 1 ]; then echo "$2"; else echo "$1"; fi; }
# since NANOSECONDS: the seconds since then.
since() { echo "scale=4; ($(date +%s%N) - $1) / 1000000000" | bc; }

results=20000 metrics=16 ours='' theirs=''
rows=$((results * metrics))
"$work/sqlite" make "$results" "$metrics" "$work/rows.csv"
for _ in $(seq "$rounds"); do
	rm -f "$work"/*.db
	ours=$(best "$ours" "$("$work/sqlite" commit "$results" "$metrics" "$work/ours.db")")
	[ "$(sqlite3 "$work/ours.db" 'SELECT (SELECT count(*) FROM metrics), (SELECT count(*) FROM outbox)')" = "$rows|$results" ]
	started=$(date +%s%N)
	sqlite3 "$work/theirs.db" 'CREATE TABLE metrics (result TEXT, metric TEXT, value REAL)' '.mode csv' ".import $work/rows.csv metrics"
	theirs=$(best "$theirs" "$(since "$started")")
	[ "$(sqlite3 "$work/theirs.db" 'SELECT count(*) FROM metrics')" = "$rows" ]
done
echo "local store: $results results of $metrics metrics, each owed to a target, best of $rounds"
echo "  trtperf            $ours s, $(echo "$rows / $ours" | bc) metric rows/s"
echo "  sqlite3 .import    $theirs s, ratio $(echo "scale=2; $theirs / $ours" | bc)"
