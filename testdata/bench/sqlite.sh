#!/usr/bin/env bash
# Speed into the local store, with what is owed noted, beside the sqlite3 shell's .import of the same metric rows as text, in one run: the sides in
# turn (ROUNDS, default 5), the best of each; 5,000 results a transaction. trtperf keeps the metrics in each
# result's document, of which the rows that are counted are a view. Then process of a run of three clients to OpenSearch, TRT_perf and an SQLite
# file, beside Python with trt_perf_parser.py's rule, which sends the same rows to TRT_perf alone. Absolute figures are this machine's; the ratios are what to compare.
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

# One run of three clients to all targets, from the start of the program to its end.
python=$("$here/../oracle/venv.sh")/python
go build -o "$work/trtperf" ./cmd/trtperf
opensearch=$("$here/opensearch.sh" start --home "$work/opensearch")
address=$("$here/mariadb.sh" start --home "$work/mariadb")
client=(mariadb --no-defaults -h "${address%:*}" -P "${address#*:}" -u root)
export TRTPERF_MYSQL_USER=root
process() {
	"$work/trtperf" process -q -o "$1" --to "opensearch+$opensearch/bench$2" --to "mysql://$address/TRT_perf" --to "sqlite:$1/target.db" "$here/../runs/multi-agg"
}
"${client[@]}" <"$here/../bench/trtperfdb.sql"
process "$work/warm" 0
ours='' theirs=''
for round in $(seq "$rounds"); do
	"${client[@]}" <"$here/../bench/trtperfdb.sql"
	started=$(date +%s%N)
	process "$work/run$round" "$round"
	ours=$(best "$ours" "$(since "$started")")
	[ "$("${client[@]}" -N TRT_perf -e 'SELECT count(*) FROM perf_result')" = 3 ]
	"${client[@]}" <"$here/../bench/trtperfdb.sql"
	started=$(date +%s%N)
	"$python" "$here/../oracle/trt_perf.py" --port "${address#*:}" --schema TRT_perf --start-time '2026-11-23 11:00:00' \
		--end-time '2026-11-23 12:00:00' "$work/run$round/perf_script_test_results.metrics.csv" >"$work/said"
	theirs=$(best "$theirs" "$(since "$started")")
done
echo "process of a run of three clients, best of $rounds"
echo "  trtperf, to OpenSearch (a new index each time), TRT_perf and SQLite    $ours s"
echo "  Python and trt_perf_parser.py's rule, to TRT_perf alone                $theirs s"
