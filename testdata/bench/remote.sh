#!/usr/bin/env bash
# Speed of the way to a cluster behind a real sshd on this machine, each side with a connection of its own, in turn (ROUNDS, default 3), the best of each:
# a second sync of an unchanged tree (FILES, default 20,000) beside rsync -a, with rsync and without; results (MB, default 1024) fetched, with every file's hash
# checked, beside scp, which checks none. Absolute figures are this machine's; the ratios are what to compare.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../services/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../services/lib.sh"
cd "$here/../.."
need bc bc
need rsync rsync
need ssh openssh-client
rounds=${ROUNDS:-3} files=${FILES:-20000} mb=${MB:-1024}
work=$(mktemp -d)
trap '"$here/sshd.sh" stop --home "$work/site"; rm -rf "$work"' EXIT
chmod 711 "$work"

go build -o "$work/remote" ./testdata/bench/remote
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$work/trtperf" ./cmd/trtperf
"$here/sshd.sh" start --home "$work/site" >"$work/said"
{ read -r address; read -r user; read -r key; read -r known; } <"$work/said"
far=$work/site/user
options=(-o "UserKnownHostsFile=$known" -o BatchMode=yes -i "$key")
ours=("$work/remote" --host "${address%:*}" --port "${address#*:}" --user "$user" --key "$key" --known-hosts "$known" --workdir "$far/trtperf" --program "$work/trtperf")

# best A B: the smaller one.
best() { if [ -z "$1" ] || [ "$(echo "$2 < $1" | bc)" = 1 ]; then echo "$2"; else echo "$1"; fi; }
# seconds COMMAND…: runs it and prints how long it took.
seconds() {
	local started
	started=$(date +%s%N)
	"$@" >"$work/output" 2>&1 || { cat "$work/output" >&2; exit 1; }
	echo "scale=3; ($(date +%s%N) - $started) / 1000000000" | bc
}
# ratio OURS THEIRS: how many times as fast ours is.
ratio() { echo "scale=2; $2 / $1" | bc; }
# without_rsync COMMAND…: as on a machine that has none.
mkdir "$work/path"
ln -s "$(command -v ssh)" "$work/path/ssh"
without_rsync() { PATH=$work/path "$@"; }

mkdir "$work/tree"
python3 - "$work/tree" "$files" <<'PY'
import os, sys

root, files = sys.argv[1], int(sys.argv[2])
for i in range(files):
    folder = os.path.join(root, f"d{i // 1000}", f"e{i // 50 % 20}")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, f"f{i}.py"), "w") as f:
        f.write(f"# {i}\n" * (i % 300 + 1))
PY
theirs() { rsync -a --delete -e "ssh ${options[*]} -p ${address#*:}" "$work/tree/" "$user@${address%:*}:$far/theirs/"; }
theirs
"${ours[@]}" sync "$work/tree" "$far/ours" >/dev/null
without_rsync "${ours[@]}" sync "$work/tree" "$far/plain" >/dev/null
rsync='' sync='' plain=''
for _ in $(seq "$rounds"); do
	rsync=$(best "$rsync" "$(seconds theirs)")
	sync=$(best "$sync" "$(seconds "${ours[@]}" sync "$work/tree" "$far/ours")")
	[ "$(cat "$work/output")" = rsync ]
	plain=$(best "$plain" "$(seconds without_rsync "${ours[@]}" sync "$work/tree" "$far/plain")")
	[ "$(cat "$work/output")" = tar ]
done
for there in ours plain; do
	diff -r "$work/tree" "$far/$there"
done
echo "second sync of an unchanged tree of $files files, best of $rounds:"
echo "  rsync -a                    $rsync s"
echo "  trtperf, by rsync           $sync s, ratio $(ratio "$sync" "$rsync")"
echo "  trtperf, without rsync      $plain s, ratio $(ratio "$plain" "$rsync")"

mkdir "$far/results"
for i in 1 2 3 4; do
	head -c $((mb * 262144)) /dev/urandom >"$far/results/$i.log"
done
chown -R "$user" "$far/results"
scp='' fetch=''
before=$("$here/sshd.sh" connections --home "$work/site")
for _ in $(seq "$rounds"); do
	rm -rf "$work/theirs" "$work/ours"
	scp=$(best "$scp" "$(seconds scp -q -r -P "${address#*:}" "${options[@]}" "$user@${address%:*}:$far/results" "$work/theirs")")
	fetch=$(best "$fetch" "$(seconds "${ours[@]}" fetch "$far/results" "$work/ours")")
	[ "$(cat "$work/output")" = "4 $((mb * 1048576))" ]
done
diff -r "$far/results" "$work/ours"
connections=$(($("$here/sshd.sh" connections --home "$work/site") - before - rounds))
echo "results of $mb MB in 4 files fetched, best of $rounds:"
echo "  scp -r                      $scp s, $(echo "$mb / $scp" | bc) MB/s"
echo "  trtperf, hashes checked     $fetch s, $(echo "$mb / $fetch" | bc) MB/s, ratio $(ratio "$fetch" "$scp")"
echo "  ssh connections of each     $((connections / rounds)) (of a whole launch, a list's too: TestCluster)"
[ "$connections" = "$rounds" ]
