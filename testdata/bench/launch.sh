#!/usr/bin/env bash
# Speed of launching: how long a plan takes, and what a launch takes beyond pytest's own time, beside the same pytest called by hand. Both take
# turns (ROUNDS, default 5), and the best of each counts. Absolute figures are this machine's; the difference is what to compare.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../services/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../services/lib.sh"
cd "$here/../.."
trtperf=$PWD/bin/trtperf
rounds=${ROUNDS:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$("$here/../pytest/venv.sh"):$PATH
tree=$work/TensorRT-LLM
cp -rL testdata/tree "$tree"
disagg=e2e-toy-fp4_1k1k_ctx1_gen1_dep8_bs768_eplb0_mtp0_ccb-UCX
single=toy_fp4_blackwell-tp4_1k1k

# seconds COMMAND…: runs it and prints how long it took.
seconds() {
	local started ended
	started=$(date +%s%N)
	"$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }
	ended=$(date +%s%N)
	echo "scale=3; ($ended - $started) / 1000000000" | bc
}

# best A B: the smaller one.
best() { if [ -z "$1" ] || [ "$(echo "$2 < $1" | bc)" = 1 ]; then echo "$2"; else echo "$1"; fi; }

# by_hand DIR: the single-agg test without a launcher. together DIR: the disaggregated one, each role in the background, as a person would.
by_hand() {
	mkdir "$1"
	(cd "$tree/tests/integration/defs" && exec pytest "perf/test_perf_sanity.py::test_e2e[aggr_upload-$single]" -vv --output-dir="$1/" --junit-xml="$1/results.xml")
}
together() {
	mkdir "$1"
	local role
	for role in GEN_0 CTX_0 DISAGG_SERVER; do
		(cd "$tree/tests/integration/defs" && DISAGG_SERVING_TYPE=$role exec pytest "perf/test_perf_sanity.py::test_e2e[disagg_upload-$disagg]" -vv --output-dir="$1/" --junit-xml="$1/results.$role.xml") &
	done
	(cd "$tree/tests/integration/defs" && DISAGG_SERVING_TYPE=BENCHMARK exec pytest "perf/test_perf_sanity.py::test_e2e[disagg_upload-$disagg]" -vv --output-dir="$1/" --junit-xml="$1/results.xml")
	wait
}

plan='' collect='' hand='' launch='' hands='' roles=''
for round in $(seq "$rounds"); do
	plan=$(best "$plan" "$(seconds "$trtperf" launch --tree "$tree" --on slurm --dry-run --no-collect "$disagg")")
	collect=$(best "$collect" "$(seconds "$trtperf" launch --tree "$tree" --on slurm --dry-run "$disagg")")
	hand=$(best "$hand" "$(seconds by_hand "$work/hand$round")")
	launch=$(best "$launch" "$(seconds "$trtperf" launch --no-collect --tree "$tree" --workspace "$work/launch$round" "$single")")
	hands=$(best "$hands" "$(seconds together "$work/hands$round")")
	roles=$(best "$roles" "$(seconds "$trtperf" launch --no-collect --tree "$tree" --workspace "$work/roles$round" "$disagg")")
done
echo "launch, best of $rounds:"
printf '  %-52s %6.3f s\n' "a disaggregated job's plan with all scripts" "$plan" "the same, pytest asked for the id" "$collect" \
	"single-agg, pytest by hand" "$hand" "single-agg, trtperf launch" "$launch" "disagg of four roles, by hand" "$hands" "disagg of four roles, trtperf launch" "$roles"
printf '  launch beyond pytest: single-agg %.3f s, disagg %.3f s\n' "$(echo "$launch - $hand" | bc)" "$(echo "$roles - $hands" | bc)"
