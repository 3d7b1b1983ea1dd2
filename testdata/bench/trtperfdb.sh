#!/usr/bin/env bash
# Speed into TRT_perf, beside (a) the rule of trt_perf_parser.py and (b) the mariadb client with a file of 500-row INSERTs and the ids given, in
# one run: the database's part alone, empty tables, the sides in turn (ROUNDS, default 5), the best of each. 1,250 cases of 16 metrics and
# 2,000 of one, 20,000 with TRTPERF_SOAK=1. Absolute figures are this machine's; the ratios are what to compare.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../services/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../services/lib.sh"
cd "$here/../.."
need bc bc
rounds=${ROUNDS:-5}
work=$(mktemp -d)
trap '"$here/mariadb.sh" stop --home "$work/mariadb"; rm -rf "$work"' EXIT

python=$("$here/../oracle/venv.sh")/python
go build -o "$work/trtperfdb" ./testdata/bench/trtperfdb
address=$("$here/mariadb.sh" start --home "$work/mariadb")
client=(mariadb --no-defaults -h "${address%:*}" -P "${address#*:}" -u root)
export TRTPERF_MYSQL_USER=root

# empty makes the tables anew: as documented, with what trt_perf_parser.py needs besides.
empty() { "${client[@]}" <"$here/../bench/trtperfdb.sql"; }

# best A B: the smaller one.
best() { if [ -z "$1" ] || [ "$(echo "$2 < $1" | bc)" = 1 ]; then echo "$2"; else echo "$1"; fi; }

# want CASES WHO: the tables must hold one run and the cases and results.
want() {
	local got
	got=$("${client[@]}" -N TRT_perf -e 'SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM cases), (SELECT count(*) FROM perf_result)')
	[ "$got" = "$(printf '1\t%s\t%s' "$1" "$1")" ] || { echo "$2 left $got" >&2 && exit 1; }
}

compare() {
	local cases=$1 metrics=$2 ours='' theirs='' ready='' started seconds
	rm -rf "$work/data"
	mkdir "$work/data"
	"$work/trtperfdb" make "$cases" "$metrics" "$work/data"
	for _ in $(seq "$rounds"); do
		empty
		ours=$(best "$ours" "$("$work/trtperfdb" put "$cases" "$metrics" "mysql://$address/TRT_perf")")
		want "$cases" trtperf
		empty
		seconds=$("$python" "$here/../oracle/trt_perf.py" --port "${address#*:}" --schema TRT_perf --start-time '2026-11-23 11:00:00' \
			--end-time '2026-11-23 12:00:00' "$work/data/perf_script_test_results.metrics.csv" | "$python" -c 'import json, sys; print(json.load(sys.stdin)["seconds"])')
		theirs=$(best "$theirs" "$(printf '%.4f' "$seconds")")
		want "$cases" trt_perf.py
		empty
		started=$(date +%s%N)
		"${client[@]}" TRT_perf <"$work/data/results.sql"
		ready=$(best "$ready" "$(echo "scale=4; ($(date +%s%N) - $started) / 1000000000" | bc)")
		want "$cases" mariadb
	done
	echo "TRT_perf: $cases cases of $metrics metrics, best of $rounds"
	echo "  trtperf                          $ours s"
	echo "  trt_perf_parser.py's rule        $theirs s, ratio $(echo "scale=1; $theirs / $ours" | bc)"
	echo "  mariadb client, ready INSERTs    $ready s, ratio $(echo "scale=2; $ready / $ours" | bc)"
}

compare 1250 16
compare 2000 1
if [ "${TRTPERF_SOAK:-}" = 1 ]; then
	rounds=1
	compare 20000 1
fi
