#!/usr/bin/env bash
# A real Slurm cluster for tests on this machine: four nodes, n1 to n4, each with 8 CPUs and 4 GPUs that are empty files.
#   slurm.sh start --home DIR [--no-accounting] [--set KEY=VALUE]…   prints the path of slurm.conf when all nodes are idle
#   slurm.sh stop --home DIR                                         cancels what runs and stops everything
#   slurm.sh node-down N | node-up N --home DIR                      sets a node down, which ends its jobs, or up again
#   slurm.sh stop-ctld | start-ctld | restart-ctld --home DIR        the controller, which keeps its state
#   slurm.sh stop-dbd | start-dbd --home DIR                         the accounting daemon
# Commands of Slurm reach it with SLURM_CONF set to that path. Everything is under DIR, with a munge key and a MariaDB of its own; Debian's
# own services are not touched. Partitions: batch (the default), small, for one node, and closed, where jobs wait. The container options of pyxis are taken by a
# stand-in that does nothing (slurm/container_options.c). --set adds a line to slurm.conf.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin

usage() {
	sed -n '2,9s/^# *//p' "${BASH_SOURCE[0]}" >&2
	exit 2
}

command=${1:-}
shift || true
home='' accounting=yes node='' settings=()
while [ $# -gt 0 ]; do
	case $1 in
	--home) home=$2 && shift ;;
	--no-accounting) accounting='' ;;
	--set) settings+=("$2") && shift ;;
	[1-4]) node=$1 ;;
	*) usage ;;
	esac
	shift
done
[ -n "$home" ] || usage
nodes=(n1 n2 n3 n4)
if [ -d "$home" ]; then home=$(cd "$home" && pwd); fi
export SLURM_CONF=$home/slurm.conf

# ports N prints the first of N neighbouring TCP ports that nothing listens on.
ports() {
	local first port
	while :; do
		first=$(free_port)
		for ((port = first; port < first + $1; port++)); do
			if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue 2; fi
		done
		echo "$first"
		return
	done
}

# wait_until SECONDS LOG COMMAND ARG…: waits until the command succeeds.
wait_until() {
	local end=$((SECONDS + $1)) log=$2
	shift 2
	while [ "$SECONDS" -le "$end" ]; do
		if "$@" >/dev/null 2>&1; then return; fi
		sleep 0.1
	done
	echo "no success of \"$*\"; the end of $log:" >&2
	tail -n 20 "$log" >&2
	exit 1
}

all_idle() { [ "$(sinfo -h -p batch -N -t idle -o %N | wc -l)" -eq "${#nodes[@]}" ]; }

none_left() { [ -z "$(squeue -h -o %i)" ]; }

start_ctld() {
	if alive "$home/slurmctld.pid"; then return; fi
	slurmctld -f "$SLURM_CONF" </dev/null >>"$home/slurmctld.log" 2>&1 8>&-
	wait_until 30 "$home/slurmctld.log" scontrol ping
}

start_dbd() {
	if alive "$home/slurmdbd.pid"; then return; fi
	# slurmdbd reads its configuration from beside slurm.conf.
	slurmdbd </dev/null >>"$home/slurmdbd.log" 2>&1 8>&-
	wait_until 30 "$home/slurmdbd.log" sacctmgr -n show cluster
}

# end_steps ends the step daemons and the jobs' processes that are left: they outlive slurmd.
end_steps() {
	local process
	for process in /proc/[0-9]*; do
		if grep -qzxF "SLURM_CONF=$SLURM_CONF" "$process/environ" 2>/dev/null &&
			{ [ "$(cat "$process/comm")" = slurmstepd ] || grep -qz ^SLURMD_NODENAME= "$process/environ"; } 2>/dev/null; then
			kill -9 "${process#/proc/}" 2>/dev/null || true
		fi
	done
}

start() {
	# The packages must not start services of their own.
	export RUNLEVEL=1
	need slurmctld slurm-wlm
	need slurmd slurm-wlm
	need munged munge
	need gcc gcc libc6-dev
	need setsid util-linux
	if [ ! -f /usr/include/slurm/spank.h ]; then
		if [ "$(id -u)" -eq 0 ]; then install_packages libslurm-dev; fi
		[ -f /usr/include/slurm/spank.h ] || { echo "slurm/spank.h is missing: install it (Debian package: libslurm-dev)" >&2 && exit 1; }
	fi
	mkdir -p "$home"
	home=$(cd "$home" && pwd)
	export SLURM_CONF=$home/slurm.conf
	if [ -f "$home/started" ]; then
		echo "$SLURM_CONF"
		return
	fi
	# munge's socket must lie where everybody may go, and its path is short.
	if [ ! -f "$home/munge.dir" ]; then
		munge=$(mktemp -d /tmp/munge.XXXXXX)
		echo "$munge" >"$home/munge.dir"
		chmod 755 "$munge"
		dd if=/dev/urandom of="$munge/key" bs=1024 count=1 status=none
		chmod 600 "$munge/key"
	fi
	munge=$(cat "$home/munge.dir")
	munged --force --num-threads=2 --key-file="$munge/key" --socket="$munge/socket" --pid-file="$munge/pid" --log-file="$munge/log" \
		--seed-file="$munge/seed" </dev/null >>"$munge/start.log" 2>&1
	gcc -shared -fPIC -o "$home/container_options.so" "$here/slurm/container_options.c"
	echo "required $home/container_options.so" >"$home/plugstack.conf"
	for i in 0 1 2 3; do ln -sfn /dev/null "$home/gpu$i"; done
	{
		echo AutoDetect=off
		echo "NodeName=n[1-4] Name=gpu File=$home/gpu[0-3]"
	} >"$home/gres.conf"
	# Two clusters that start at once must not find the same ports free. The lock ends with the start; no daemon inherits it.
	exec 8>"$cache/slurm.lock"
	flock 8
	local first
	first=$(ports 6)
	cat >"$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort=$first
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$munge/socket
CredType=cred/munge
StateSaveLocation=$home/state
SlurmctldPidFile=$home/slurmctld.pid
SlurmctldLogFile=$home/slurmctld.log
SlurmdPidFile=$home/slurmd.%n.pid
SlurmdLogFile=$home/slurmd.%n.log
SlurmdSpoolDir=$home/spool.%n
SlurmdParameters=config_overrides
PlugStackConfig=$home/plugstack.conf
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
ReturnToService=2
SchedulerParameters=bf_interval=1,sched_min_interval=200000,batch_sched_delay=1
KillWait=2
CompleteWait=0
PropagateResourceLimits=NONE
NodeName=n[1-4] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[$((first + 1))-$((first + 4))] CPUs=8 RealMemory=2000 Gres=gpu:4 State=UNKNOWN
PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE:8
PartitionName=small Nodes=ALL MaxNodes=1 MaxTime=10 State=UP OverSubscribe=FORCE:8
PartitionName=closed Nodes=ALL MaxTime=INFINITE State=DOWN
CONF
	if [ -n "$accounting" ]; then
		need slurmdbd slurmdbd
		local database
		database=$("$here/mariadb.sh" start --home "$home/mariadb" 8>&-)
		cat >>"$SLURM_CONF" <<CONF
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort=$((first + 5))
AccountingStoragePass=$munge/socket
CONF
		(
			umask 077
			cat >"$home/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$munge/socket
DbdHost=localhost
DbdPort=$((first + 5))
SlurmUser=root
PidFile=$home/slurmdbd.pid
LogFile=$home/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=${database%:*}
StoragePort=${database#*:}
StorageUser=root
StorageLoc=slurm_acct_db
CommitDelay=0
CONF
		)
		start_dbd
		sacctmgr -i add cluster test >>"$home/slurmdbd.log" 2>&1 || true
	fi
	local setting
	for setting in ${settings[@]+"${settings[@]}"}; do echo "$setting" >>"$SLURM_CONF"; done
	mkdir -p "$home/state"
	start_ctld
	for node in "${nodes[@]}"; do
		mkdir -p "$home/spool.$node"
		slurmd -f "$SLURM_CONF" -N "$node" </dev/null >>"$home/slurmd.$node.log" 2>&1 8>&-
	done
	wait_until 60 "$home/slurmctld.log" all_idle
	touch "$home/started"
	echo "$SLURM_CONF"
}

case $command in
start) start ;;
stop)
	if alive "$home/slurmctld.pid"; then
		scancel --full --user="$(id -un)" 2>/dev/null || true
		(wait_until 10 "$home/slurmctld.log" none_left) 2>/dev/null || true
	fi
	# Nothing of it is wanted any more, so nothing waits for an orderly end.
	for daemon in slurmctld slurmdbd "${nodes[@]/#/slurmd.}"; do
		if alive "$home/$daemon.pid"; then kill -9 "$(cat "$home/$daemon.pid")"; fi
		rm -f "$home/$daemon.pid"
	done
	end_steps
	if [ -d "$home/mariadb" ]; then "$here/mariadb.sh" stop --home "$home/mariadb"; fi
	if [ -f "$home/munge.dir" ]; then
		munge=$(cat "$home/munge.dir")
		stop "$munge/pid"
		rm -rf "$munge" "$home/munge.dir"
	fi
	rm -f "$home/started"
	;;
node-down | node-up)
	[ -n "$node" ] || usage
	if [ "$command" = node-down ]; then
		scontrol update nodename="n$node" state=down reason="set down by a test"
	else
		# A node that answers comes back by itself.
		scontrol update nodename="n$node" state=resume 2>/dev/null || true
		wait_until 30 "$home/slurmctld.log" all_idle
	fi
	;;
stop-ctld) stop "$home/slurmctld.pid" ;;
start-ctld) start_ctld ;;
restart-ctld)
	stop "$home/slurmctld.pid"
	start_ctld
	;;
stop-dbd) stop "$home/slurmdbd.pid" ;;
start-dbd) start_dbd ;;
*) usage ;;
esac
